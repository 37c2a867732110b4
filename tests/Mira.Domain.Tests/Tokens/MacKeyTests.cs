using System.Security.Cryptography;
using System.Text;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Tokens;

public class MacKeyTests
{
    private static readonly byte[] Message = [1, 2, 3];

    private readonly MacKey _key = HeldKey.PepperOf(1).MacKey("a");

    [Test]
    public void It_is_HMAC_SHA256_under_a_key_derived_from_the_pepper_and_the_purpose()
    {
        var pepper = Enumerable.Repeat((byte)1, Pepper.MinimumSize).ToArray();
        var key = HMACSHA256.HashData(pepper, Encoding.UTF8.GetBytes("mira-mac:a"));

        Assert.That(Sign(_key), Is.EqualTo(HMACSHA256.HashData(key, Message)));
    }

    [Test]
    public void What_it_signed_verifies_and_nothing_else()
    {
        var mac = Sign(_key);

        Assert.That(_key.Verifies(Message, mac));
        Assert.That(_key.Verifies([1, 2, 4], mac), Is.False);
        Assert.That(_key.Verifies(Message, mac.AsSpan(1)), Is.False);
        Assert.That(_key.Verifies(Message, []), Is.False);
        for (var i = 0; i < mac.Length; i++)
        {
            mac[i] ^= 1;
            Assert.That(_key.Verifies(Message, mac), Is.False);
            mac[i] ^= 1;
        }
    }

    [Test]
    public void Another_purpose_and_another_pepper_sign_otherwise()
    {
        Assert.That(HeldKey.PepperOf(1).MacKey("b").Verifies(Message, Sign(_key)), Is.False);
        Assert.That(HeldKey.PepperOf(2).MacKey("a").Verifies(Message, Sign(_key)), Is.False);
    }

    [Test]
    public void A_purpose_that_could_be_taken_for_the_hash_of_a_token_is_refused() =>
        Assert.That(() => HeldKey.PepperOf(1).MacKey(new string('x', 32 - "mira-mac:".Length)), Throws.ArgumentException);

    private static byte[] Sign(MacKey key)
    {
        var mac = new byte[MacKey.Size];
        key.Sign(Message, mac);
        return mac;
    }
}
