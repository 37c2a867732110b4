using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

public class LabelTests
{
    [TestCase("billing")]
    [TestCase("Zoë's key — no. 1")]
    [TestCase(" billing ")]
    [TestCase("鍵")]
    [TestCase("مفتاح")]
    [TestCase("🔑")]
    [TestCase("👩‍💻", Description = "with a zero-width joiner")]
    public void Ordinary_text_is_taken_as_it_is(string text)
    {
        Assert.That(Label.TryNormalize(text, Label.MaximumLength, out var label));
        Assert.That(label, Is.EqualTo(text));
    }

    [TestCase("Zoe\u0308", "Zo\u00EB")]
    [TestCase("\u1100\u1161\u11A8", "\uAC01")]
    [TestCase("\u212B", "\u00C5")]
    [TestCase("\uFB01", "\uFB01", Description = "a ligature is not taken apart: that would be NFKC")]
    public void Text_is_normalised_to_NFC(string text, string expected)
    {
        Assert.That(Label.TryNormalize(text, Label.MaximumLength, out var label));
        Assert.That(label, Is.EqualTo(expected));
    }

    [TestCase(100, true)]
    [TestCase(101, false)]
    public void One_to_100_characters_are_counted_as_scalar_values(int count, bool accepted)
    {
        Assert.That(Accepts(new string('a', count)), Is.EqualTo(accepted));
        Assert.That(Accepts(string.Concat(Enumerable.Repeat("🔑", count))), Is.EqualTo(accepted), "each is two UTF-16 units");
        Assert.That(Accepts(string.Concat(Enumerable.Repeat("e\u0308", count))), Is.EqualTo(accepted), "each is one after NFC");
    }

    [Test]
    public void What_NFC_puts_together_counts_as_one()
    {
        const string AlphaWithThreeMarks = "\u03B1\u0313\u0300\u0345";

        Assert.That(Accepts(string.Concat(Enumerable.Repeat(AlphaWithThreeMarks, 100))));
        Assert.That(Accepts(string.Concat(Enumerable.Repeat(AlphaWithThreeMarks, 101))), Is.False);
    }

    [Test]
    public void What_NFC_takes_apart_counts_as_its_parts()
    {
        Assert.That(Accepts(string.Concat(Enumerable.Repeat("\u0958", 50))));
        Assert.That(Accepts(string.Concat(Enumerable.Repeat("\u0958", 51))), Is.False);
    }

    [Test]
    public void Another_maximum_is_counted_in_the_same_way()
    {
        Assert.That(Label.TryNormalize(new string('a', 500), Label.MaximumReasonLength, out _));
        Assert.That(Label.TryNormalize(new string('a', 501), Label.MaximumReasonLength, out _), Is.False);
    }

    [Test]
    public void A_huge_text_is_refused() => Assert.That(Accepts(new string('a', 1_000_000)), Is.False);

    [TestCase(null)]
    [TestCase("")]
    [TestCase(" ")]
    [TestCase("   ")]
    [TestCase("\u00A0")]
    [TestCase("\u2003\u3000")]
    public void Nothing_but_blanks_is_no_label(string? text)
    {
        Assert.That(Label.TryNormalize(text, Label.MaximumLength, out var label), Is.False);
        Assert.That(label, Is.Null);
    }

    [TestCase('\u0000')]
    [TestCase('\u0007')]
    [TestCase('\t')]
    [TestCase('\n')]
    [TestCase('\r')]
    [TestCase('\u001B')]
    [TestCase('\u007F')]
    [TestCase('\u0085')]
    [TestCase('\u009F')]
    public void A_control_character_is_refused(char character) => Assert.That(Accepts($"a{character}b"), Is.False);

    [TestCase('\u2028')]
    [TestCase('\u2029')]
    public void A_line_or_paragraph_separator_is_refused(char character) => Assert.That(Accepts($"a{character}b"), Is.False);

    [TestCase('\u061C')]
    [TestCase('\u200E')]
    [TestCase('\u200F')]
    [TestCase('\u202A')]
    [TestCase('\u202B')]
    [TestCase('\u202C')]
    [TestCase('\u202D')]
    [TestCase('\u202E')]
    [TestCase('\u2066')]
    [TestCase('\u2067')]
    [TestCase('\u2068')]
    [TestCase('\u2069')]
    public void A_bidirectional_control_is_refused(char character) => Assert.That(Accepts($"a{character}b"), Is.False);

    [TestCase('\u200D')]
    [TestCase('\u2027')]
    [TestCase('\u202F')]
    [TestCase('\u2065')]
    [TestCase('\u206A')]
    public void Its_neighbours_are_not(char character) => Assert.That(Accepts($"a{character}b"));

    // Given as code units: NUnit's own listing of cases could not write them down.
    [TestCase(new[] { 0xD83D })]
    [TestCase(new[] { 0xDD11 })]
    [TestCase(new[] { 0x61, 0xD83D })]
    [TestCase(new[] { 0xD83D, 0x61 })]
    [TestCase(new[] { 0xDD11, 0xD83D })]
    [TestCase(new[] { 0xD83D, 0xD83D, 0xDD11 })]
    [TestCase(new[] { 0xD83D, 0xDD11, 0xDD11 })]
    public void A_lone_surrogate_is_refused(int[] units)
    {
        var text = string.Concat(units.Select(unit => (char)unit));

        Assert.That(Accepts(text), Is.False);
        Assert.That(Metadata.IsKey(text), Is.False);
        Assert.That(Metadata.IsValue(text), Is.False);
    }

    [Holds(300)]
    public bool A_label_is_a_label_of_itself(string? text) =>
        !Label.TryNormalize(text, Label.MaximumLength, out var label)
        || (Label.TryNormalize(label, Label.MaximumLength, out var again) && again == label);

    [TestCase("Billing", "BILLING")]
    [TestCase("zoe\u0308", "ZO\u00CB")]
    [TestCase("ZO\u00CB", "zoe\u0308")]
    public void What_is_looked_for_is_folded(string one, string other) => Assert.That(Label.Fold(one), Is.EqualTo(Label.Fold(other)));

    private static bool Accepts(string text) => Label.TryNormalize(text, Label.MaximumLength, out _);
}

public class MetadataTests
{
    [TestCase("team", true)]
    [TestCase("Team name/1", true)]
    [TestCase("🔑", true)]
    [TestCase("", false)]
    [TestCase("te\nam", false)]
    [TestCase("team\u0000", false)]
    [TestCase("\u0085", false)]
    public void A_key_is_some_text_without_control_characters(string key, bool expected) => Assert.That(Metadata.IsKey(key), Is.EqualTo(expected));

    [TestCase("payments", true)]
    [TestCase("", true)]
    [TestCase(null, false)]
    [TestCase("two\nlines", false)]
    [TestCase("\u007F", false)]
    public void A_value_is_text_without_control_characters(string? value, bool expected) =>
        Assert.That(Metadata.IsValue(value), Is.EqualTo(expected));

    [Test]
    public void Lengths_are_counted_as_scalar_values()
    {
        Assert.That(Metadata.IsKey(string.Concat(Enumerable.Repeat("🔑", 64))));
        Assert.That(Metadata.IsKey(new string('k', 65)), Is.False);
        Assert.That(Metadata.IsValue(string.Concat(Enumerable.Repeat("🔑", 512))));
        Assert.That(Metadata.IsValue(new string('v', 513)), Is.False);
    }

    [Test]
    public void Two_are_equal_when_their_pairs_are()
    {
        var one = Pairs(("a", "1"), ("b", "2"));

        Assert.That(Metadata.AreEqual(one, Pairs(("b", "2"), ("a", "1"))));
        Assert.That(Metadata.AreEqual(one, Pairs(("a", "1"), ("b", "3"))), Is.False);
        Assert.That(Metadata.AreEqual(one, Pairs(("a", "1"), ("c", "2"))), Is.False);
        Assert.That(Metadata.AreEqual(one, Pairs(("a", "1"))), Is.False);
        Assert.That(Metadata.AreEqual(Pairs(("a", "1")), one), Is.False);
        Assert.That(Metadata.AreEqual(Metadata.Empty, Pairs()));
    }

    private static Dictionary<string, string> Pairs(params (string Key, string Value)[] pairs) => pairs.ToDictionary(pair => pair.Key, pair => pair.Value);
}
