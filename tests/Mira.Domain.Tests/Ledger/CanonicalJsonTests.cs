using System.Globalization;
using System.Text.Json.Nodes;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

public class CanonicalJsonTests
{
    // The example of RFC 8785, section 3.2.3: by UTF-16 code units an emoji (U+D83D …) comes before U+FB33.
    [Test]
    public void Names_are_sorted_by_UTF_16_code_units()
    {
        var json = new JsonObject
        {
            ["\u20AC"] = "Euro Sign",
            ["\r"] = "Carriage Return",
            ["\uFB33"] = "Hebrew Letter Dalet With Dagesh",
            ["1"] = "One",
            ["\U0001F600"] = "Emoji: Grinning Face",
            ["\u0080"] = "Control",
            ["\u00F6"] = "Latin Small Letter O With Diaeresis",
        };

        Assert.That(CanonicalJson.Write(json), Is.EqualTo(
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"\u00F6\":\"Latin Small Letter O With Diaeresis\","
            + "\"\u20AC\":\"Euro Sign\",\"\U0001F600\":\"Emoji: Grinning Face\",\"\uFB33\":\"Hebrew Letter Dalet With Dagesh\"}"));
    }

    [TestCase("""{ "b" : 1, "a" : { "d" : [ 3, 1, 2 ], "c" : null } }""", """{"a":{"c":null,"d":[3,1,2]},"b":1}""")]
    [TestCase("""{"a":1,"B":2,"aa":3,"":4}""", """{"":4,"B":2,"a":1,"aa":3}""")]
    [TestCase("{ }", "{}")]
    [TestCase("[ ]", "[]")]
    [TestCase("[ {}, [], true, false, null, \"\" ]", "[{},[],true,false,null,\"\"]")]
    [TestCase("null", "null")]
    [TestCase("true", "true")]
    [TestCase("\"text\"", "\"text\"")]
    public void There_are_no_blanks_and_names_are_sorted_at_every_depth(string json, string expected) => Assert.That(Canonical(json), Is.EqualTo(expected));

    // RFC 8785, section 3.2.2.2.
    [TestCase("\\u0000", "\\u0000")]
    [TestCase("\\u000f", "\\u000f")]
    [TestCase("\\u000A", "\\n")]
    [TestCase("\\u0008", "\\b")]
    [TestCase("\\u0009", "\\t")]
    [TestCase("\\u000c", "\\f")]
    [TestCase("\\u000d", "\\r")]
    [TestCase("\\u001F", "\\u001f")]
    [TestCase("\\u0022", "\\\"")]
    [TestCase("\\u005c", "\\\\")]
    [TestCase("\\/", "/")]
    [TestCase("\\u003c\\u003e\\u0026\\u0027\\u002b", "<>&'+")]
    [TestCase("\\u007f", "\u007f")]
    [TestCase("\\u00e9", "é")]
    [TestCase("\\u2028", "\u2028")]
    [TestCase("\\ud83d\\ude00", "😀")]
    public void Only_what_must_be_escaped_is_and_in_the_shortest_way(string escaped, string expected)
    {
        Assert.That(Canonical($"\"{escaped}\""), Is.EqualTo($"\"{expected}\""));
        Assert.That(Canonical($"{{\"{escaped}\":0}}"), Is.EqualTo($"{{\"{expected}\":0}}"));
    }

    [TestCase("0", "0")]
    [TestCase("-0", "0")]
    [TestCase("7", "7")]
    [TestCase("-7", "-7")]
    [TestCase("9007199254740992", "9007199254740992")]
    [TestCase("-9007199254740992", "-9007199254740992")]
    public void Whole_numbers_are_written_plainly(string json, string expected) => Assert.That(Canonical(json), Is.EqualTo(expected));

    [TestCase("1.5")]
    [TestCase("1.0")]
    [TestCase("1e3")]
    [TestCase("9007199254740993")]
    [TestCase("-9007199254740993")]
    [TestCase("9223372036854775808")]
    [TestCase("-9223372036854775808")]
    public void Other_numbers_are_refused(string json) => Assert.That(() => Canonical(json), Throws.ArgumentException);

    [Test]
    public void Numbers_made_in_code_are_the_same_as_read_ones()
    {
        Assert.That(CanonicalJson.Write(JsonValue.Create(7)), Is.EqualTo("7"));
        Assert.That(CanonicalJson.Write(JsonValue.Create(7L)), Is.EqualTo("7"));
        Assert.That(() => CanonicalJson.Write(JsonValue.Create(1.5)), Throws.ArgumentException);
    }

    [Test]
    public void The_culture_of_the_machine_plays_no_part()
    {
        var before = CultureInfo.CurrentCulture;
        var swedish = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        swedish.NumberFormat.NegativeSign = "\u2212";
        try
        {
            CultureInfo.CurrentCulture = swedish;
            Assert.That(Canonical("-7"), Is.EqualTo("-7"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    // RFC 8785, section 3.2.2.2. As UTF-8 all of them would become U+FFFD, and two different texts would share a hash.
    [TestCase(0xD83D)]
    [TestCase(0xDE00)]
    public void A_lone_surrogate_is_refused(int unit)
    {
        var text = $"a{(char)unit}b";

        Assert.That(() => CanonicalJson.Write(text), Throws.ArgumentException);
        Assert.That(() => CanonicalJson.Write(new JsonObject { [text] = 1 }), Throws.ArgumentException);
    }

    [Holds(300)]
    public void Reading_and_writing_again_changes_nothing(Dictionary<int, int> numbers, string?[] texts)
    {
        var json = new JsonObject
        {
            ["numbers"] = new JsonObject(numbers.Select(pair => KeyValuePair.Create<string, JsonNode?>($"{pair.Key}", pair.Value))),
            ["texts"] = new JsonArray([.. texts.Where(IsWellFormed).Select(text => text is null ? null : JsonValue.Create(text))]),
        };

        var written = CanonicalJson.Write(json);

        Assert.That(Canonical(written), Is.EqualTo(written));
        Assert.That(JsonNode.DeepEquals(JsonNode.Parse(written), json));
    }

    private static bool IsWellFormed(string? text) => text is null || !text.Any(char.IsSurrogate);

    private static string Canonical(string json) => CanonicalJson.Write(JsonNode.Parse(json));
}

public class Rfc3339Tests
{
    [Test]
    public void A_time_is_written_in_UTC_with_milliseconds()
    {
        var time = new DateTimeOffset(2026, 3, 1, 1, 2, 3, 4, TimeSpan.FromHours(2));

        Assert.That(Rfc3339.Format(time), Is.EqualTo("2026-02-28T23:02:03.004Z"));
    }

    [Test]
    public void What_is_not_written_is_cut()
    {
        var time = new DateTimeOffset(2026, 3, 1, 1, 2, 3, 4, TimeSpan.FromHours(2)).AddTicks(9_999);

        var cut = Rfc3339.Truncate(time);

        Assert.That(time - cut, Is.EqualTo(TimeSpan.FromTicks(9_999)));
        Assert.That(cut.Offset, Is.EqualTo(TimeSpan.Zero));
        Assert.That(Rfc3339.Format(cut), Is.EqualTo(Rfc3339.Format(time)));
        Assert.That(Rfc3339.Truncate(cut), Is.EqualTo(cut));
    }
}
