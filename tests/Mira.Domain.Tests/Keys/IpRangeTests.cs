using System.Net;
using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

public class IpRangeTests
{
    [TestCase("203.0.113.7", "203.0.113.7")]
    [TestCase("0.0.0.0", "0.0.0.0")]
    [TestCase("255.255.255.255", "255.255.255.255")]
    [TestCase("2001:db8::1", "2001:db8::1")]
    [TestCase("2001:DB8::1", "2001:db8::1")]
    [TestCase("2001:0db8:0:0:0:0:0:0001", "2001:db8::1")]
    [TestCase("::", "::")]
    [TestCase("::1", "::1")]
    [TestCase("64:ff9b::192.0.2.33", "64:ff9b::c000:221")]
    public void One_address_is_a_range(string text, string normal) => Assert.That(Range(text).ToString(), Is.EqualTo(normal));

    [TestCase("203.0.113.0/24", "203.0.113.0/24")]
    [TestCase("203.0.113.77/24", "203.0.113.0/24")]
    [TestCase("203.0.113.77/25", "203.0.113.0/25")]
    [TestCase("203.0.113.255/31", "203.0.113.254/31")]
    [TestCase("203.0.113.77/1", "128.0.0.0/1")]
    [TestCase("203.0.113.77/0", "0.0.0.0/0")]
    [TestCase("2001:db8:ffff::1/33", "2001:db8:8000::/33")]
    [TestCase("2001:db8::ffff/127", "2001:db8::fffe/127")]
    [TestCase("2001:db8::1/0", "::/0")]
    public void The_host_bits_of_a_block_are_cleared(string text, string normal) => Assert.That(Range(text).ToString(), Is.EqualTo(normal));

    [TestCase("203.0.113.7/32", "203.0.113.7")]
    [TestCase("2001:db8::1/128", "2001:db8::1")]
    [TestCase("::ffff:203.0.113.7/128", "203.0.113.7")]
    [TestCase("2001:db8::1/32", "2001:db8::/32")]
    public void A_full_length_prefix_is_dropped(string text, string normal) => Assert.That(Range(text).ToString(), Is.EqualTo(normal));

    [TestCase("::ffff:203.0.113.7", "203.0.113.7")]
    [TestCase("::FFFF:CB00:7107", "203.0.113.7")]
    [TestCase("::ffff:203.0.113.7/120", "203.0.113.0/24")]
    [TestCase("::ffff:203.0.113.7/96", "0.0.0.0/0")]
    public void An_IPv4_mapped_address_is_the_IPv4_one(string text, string normal) => Assert.That(Range(text).ToString(), Is.EqualTo(normal));

    [TestCase(null)]
    [TestCase("")]
    [TestCase("/")]
    [TestCase("localhost")]
    [TestCase("*")]
    [TestCase("1", Description = "a number")]
    [TestCase("3405803783", Description = "a number")]
    [TestCase("127.1", Description = "short")]
    [TestCase("203.0.113", Description = "short")]
    [TestCase("203.0.113.7.1")]
    [TestCase("203.0.113.256")]
    [TestCase("0x7f.0.0.1", Description = "hexadecimal")]
    [TestCase("0xcb007107", Description = "hexadecimal")]
    [TestCase("010.0.0.1", Description = "octal")]
    [TestCase("203.0.113.07", Description = "octal")]
    [TestCase("::ffff:010.0.0.1", Description = "octal")]
    [TestCase("::ffff:0x7f.0.0.1", Description = "hexadecimal")]
    [TestCase("::ffff:127.1", Description = "short")]
    [TestCase("fe80::1%eth0", Description = "zone")]
    [TestCase("fe80::1%1", Description = "zone")]
    [TestCase("fe80::1%1/64", Description = "zone")]
    [TestCase("[2001:db8::1]", Description = "brackets")]
    [TestCase("[2001:db8::1]:443", Description = "port")]
    [TestCase("203.0.113.7:443", Description = "port")]
    [TestCase(" 203.0.113.7")]
    [TestCase("203.0.113.7 ")]
    [TestCase("2001:db8::1 ")]
    [TestCase("2001:db8::1\n")]
    [TestCase("\t2001:db8::1")]
    [TestCase("2001:db8::1\0")]
    [TestCase("２03.0.113.7", Description = "full-width digit")]
    [TestCase("2001:db8::1::2")]
    [TestCase("2001:db8::12345")]
    [TestCase("2001:db8:1:2:3:4:5:6:7")]
    public void Nothing_else_is_an_address(string? text)
    {
        Assert.That(IpRange.TryParse(text, out _), Is.False);
        Assert.That(IpRange.TryParse(text + "/8", out _), Is.False);
        Assert.That(IpRange.TryParseAddress(text, out _), Is.False);
    }

    [TestCase("203.0.113.0/")]
    [TestCase("203.0.113.0/33")]
    [TestCase("203.0.113.0/-1")]
    [TestCase("203.0.113.0/+8")]
    [TestCase("203.0.113.0/08")]
    [TestCase("203.0.113.0/00")]
    [TestCase("203.0.113.0/ 8")]
    [TestCase("203.0.113.0/8 ")]
    [TestCase("203.0.113.0 /8")]
    [TestCase("203.0.113.0/8/8")]
    [TestCase("203.0.113.0/255.255.255.0")]
    [TestCase("203.0.113.0/0x8")]
    [TestCase("203.0.113.0/٨", Description = "an Arabic digit")]
    [TestCase("203.0.113.0/4294967304", Description = "8 in 32 bits")]
    [TestCase("2001:db8::/129")]
    [TestCase("2001:db8::/032")]
    [TestCase("::ffff:203.0.113.0/24", Description = "not a block of mapped addresses")]
    [TestCase("::ffff:203.0.113.0/95")]
    [TestCase("::ffff:203.0.113.0/129")]
    public void Nothing_else_is_a_prefix(string text)
    {
        Assert.That(IpRange.TryParse(text, out var range), Is.False);
        Assert.That(range, Is.Null);
    }

    [TestCase("203.0.113.7/32")]
    [TestCase("::1/128")]
    [TestCase("::1/64")]
    public void A_block_is_not_one_address(string text) => Assert.That(IpRange.TryParseAddress(text, out _), Is.False);

    [Test]
    public void One_address_is_read_in_its_normal_form()
    {
        Assert.That(IpRange.TryParseAddress("::ffff:203.0.113.7", out var mapped));
        Assert.That(mapped, Is.EqualTo(IPAddress.Parse("203.0.113.7")));
        Assert.That(IpRange.TryParseAddress("2001:DB8::1", out var address));
        Assert.That(address, Is.EqualTo(IPAddress.Parse("2001:db8::1")));
    }

    [TestCase("203.0.113.0/24", "203.0.113.0", true)]
    [TestCase("203.0.113.0/24", "203.0.113.255", true)]
    [TestCase("203.0.113.0/24", "203.0.114.0", false)]
    [TestCase("203.0.113.0/24", "203.0.112.255", false)]
    [TestCase("203.0.113.0/24", "::ffff:203.0.113.9", true)]
    [TestCase("203.0.113.0/24", "::cb00:7109", false)]
    [TestCase("203.0.113.128/25", "203.0.113.127", false)]
    [TestCase("203.0.113.7", "203.0.113.7", true)]
    [TestCase("203.0.113.7", "203.0.113.8", false)]
    [TestCase("0.0.0.0/0", "203.0.113.7", true)]
    [TestCase("0.0.0.0/0", "2001:db8::1", false)]
    [TestCase("::/0", "2001:db8::1", true)]
    [TestCase("::/0", "203.0.113.7", false)]
    [TestCase("::/0", "::ffff:203.0.113.7", false)]
    [TestCase("::ffff:203.0.113.0/120", "203.0.113.9", true)]
    [TestCase("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true)]
    [TestCase("2001:db8::/32", "2001:db9::", false)]
    [TestCase("2001:db8::1", "2001:db8::1", true)]
    [TestCase("2001:db8::1", "2001:db8::2", false)]
    public void It_contains_the_addresses_of_its_block(string range, string address, bool contains) =>
        Assert.That(Range(range).Contains(IPAddress.Parse(address)), Is.EqualTo(contains));

    [Test]
    public void Two_of_one_block_are_equal()
    {
        Assert.That(Range("203.0.113.9/24"), Is.EqualTo(Range("::ffff:203.0.113.1/120")));
        Assert.That(Range("203.0.113.9/24").GetHashCode(), Is.EqualTo(Range("203.0.113.0/24").GetHashCode()));
        Assert.That(Range("203.0.113.0/24"), Is.Not.EqualTo(Range("203.0.113.0/25")));
        Assert.That(Range("203.0.113.0/24").Equals((object)"203.0.113.0/24"), Is.False);
        Assert.That(Range("203.0.113.0/24").Equals(null), Is.False);
    }

    [Holds(300)]
    public bool The_normal_form_is_read_as_itself(byte[] bytes, byte length)
    {
        var address = new IPAddress([.. bytes.Concat(new byte[16]).Take(bytes.Length % 2 == 0 ? 4 : 16)]);
        var range = Range($"{address}/{length % (address.GetAddressBytes().Length * 8 + 1)}");
        return Range(range.ToString()).Equals(range) && Range(range.ToString()).ToString() == range.ToString() && range.Contains(address);
    }

    private static IpRange Range(string text) => IpRange.TryParse(text, out var range) ? range : throw new FormatException(text);
}
