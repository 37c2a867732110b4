using System.Text.Json;
using Microsoft.Extensions.Logging;
using Mira.Web.Logging;
using Mira.Web.Requests;

namespace Mira.Web.Tests.Observability;

/// <summary>One line for people or for collectors, whatever is put into it.</summary>
internal sealed class LogLineTests
{
    private static LogLine Line(string message) => new(DateTimeOffset.UnixEpoch, LogLevel.Warning, "Mira.Test", message) { Exception = message };

    [TestCase("two\nlines", @"two\nlines")]
    [TestCase("a\r\nb", @"a\u{d}\nb")]
    [TestCase(@"c:\n", @"c:\\n")]
    [TestCase("\u001b[31mred", @"\u{1b}[31mred")]
    [TestCase("next\u0085line", @"next\u{85}line")]
    [TestCase("\u2028\u2029", @"\u{2028}\u{2029}")]
    [TestCase("\u202eturned", @"\u{202e}turned")]
    [TestCase("\U000e0041", @"\u{e0041}")]
    [TestCase("für 東京 🙂", "für 東京 🙂")]
    public void Text_shows_what_it_may_not_write(string message, string shown)
    {
        var text = Line(message).ToText();
        Assert.That(text, Is.EqualTo($"warn 1970-01-01T00:00:00.000Z Mira.Test: {shown} exception={shown}"));
    }

    [Test]
    public void No_text_can_end_a_line_or_hold_a_control_character()
    {
        var random = new Random(20_261_125);
        for (var round = 0; round < 5_000; round++)
        {
            var message = new string([.. Enumerable.Range(0, random.Next(40)).Select(_ => (char)random.Next(random.Next(4) == 0 ? 0x10000 : 0x100))]);
            var (json, text) = (Line(message).ToJson(), Line(message).ToText());
            Assert.That(json + text, Has.None.Matches<char>(character => char.IsControl(character) || character is '\u2028' or '\u2029' or '\u202e'), message);
            Assert.That(JsonDocument.Parse(json).RootElement.EnumerateObject().Select(property => property.Name), Is.EqualTo(new[] { "timestamp", "level", "category", "message", "exception" }));
        }
    }

    [TestCase("/api/keys", "/api/keys")]
    [TestCase("/api/keys/mira_key_0123456789Ab", "/api/keys/mira_key_0123456789Ab")]
    [TestCase("/mira_key_0123456789Ab_0123456789012345678901234567890123456789012345678/rotate", "/mira_key_0123456789Ab_***/rotate")]
    [TestCase("/0123456789012345678901234567890123456789012", "/***")]
    [TestCase("/Mira_Key_0123456789Ab_0123456789012345678901234567890123456789012345678", "/***")]
    public void A_token_in_an_address_is_cut_off(string path, string shown) => Assert.That(TokenMask.Apply(path), Is.EqualTo(shown));
}
