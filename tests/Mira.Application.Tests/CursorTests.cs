using System.Text;

namespace Mira.Application.Tests;

public class CursorTests
{
    [TestCase(0)]
    [TestCase(1)]
    [TestCase(long.MaxValue)]
    public void What_was_written_is_read_again(long seq)
    {
        Assert.That(Cursor.TryRead("k", Cursor.Write("k", seq), out var read));
        Assert.That(read, Is.EqualTo(seq));
    }

    [Test]
    public void It_can_stand_in_a_query_string() => Assert.That(Cursor.Write("k", long.MaxValue), Does.Match("^[A-Za-z0-9_-]+$"));

    [Test]
    public void A_cursor_of_another_list_is_refused()
    {
        Assert.That(Cursor.TryRead("e", Cursor.Write("k", 5), out _), Is.False);
        Assert.That(Cursor.TryRead("k", Cursor.Write("kk", 5), out _), Is.False);
    }

    [TestCase("")]
    [TestCase("5")]
    [TestCase("%%%")]
    [TestCase("not a cursor")]
    [TestCase("a")]
    public void Garbage_is_refused(string text) => Assert.That(Cursor.TryRead("k", text, out _), Is.False);

    [TestCase("k:")]
    [TestCase("k:-1")]
    [TestCase("k: 1")]
    [TestCase("k:+1")]
    [TestCase("k:1.0")]
    [TestCase("k:9223372036854775808")]
    [TestCase("k:1:2")]
    [TestCase("k:١")]
    public void A_cursor_that_holds_no_seq_is_refused(string content) =>
        Assert.That(Cursor.TryRead("k", Convert.ToBase64String(Encoding.UTF8.GetBytes(content)).TrimEnd('='), out _), Is.False);

    [Test]
    public void A_text_that_is_too_long_is_refused() =>
        Assert.That(Cursor.TryRead("k", Convert.ToBase64String(Encoding.ASCII.GetBytes("k:" + new string('0', 60) + "1")).TrimEnd('='), out _), Is.False);
}
