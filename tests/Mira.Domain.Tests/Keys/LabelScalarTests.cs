using System.Text;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

/// <summary>What every text field makes of each of the 1 112 064 scalar values that Unicode has.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class LabelScalarTests
{
    private const int Scalars = 1_112_064;
    private const string Invisible = "\u200B";

    [Test]
    public void Every_scalar_is_taken_or_refused_and_none_is_too_much()
    {
        var count = 0;
        foreach (var (scalar, text) in All())
        {
            count++;
            if (Label.TryNormalize(text, Label.MaximumLength, out var alone))
                Assert.That(alone.IsNormalized(NormalizationForm.FormC) && Label.MayHold(alone) && !IsNoncharacter(scalar), $"U+{scalar:X4}");
            if (Label.TryNormalize($"a{text}b", Label.MaximumLength, out var inside) != Label.MayHold(text))
                Assert.Fail($"U+{scalar:X4} within text: {inside is not null}");
            Label.Fold(text);
        }

        Assert.That(count, Is.EqualTo(Scalars));
    }

    [Test]
    public void Every_scalar_goes_through_every_other_field()
    {
        foreach (var (scalar, text) in All())
        {
            var isText = Metadata.IsValue(text);
            Assert.That((Metadata.IsKey(text), Metadata.IsValue($"a{text}b")), Is.EqualTo((isText, isText)), $"U+{scalar:X4}");
            if (isText && IsNoncharacter(scalar))
                Assert.Fail($"U+{scalar:X4} in metadata");
            _ = Permission.IsGrantable($"a:{text}");
            _ = IpRange.TryParse(text, out _);
            _ = IpRange.TryParse($"::1%{text}", out _);
            _ = KeyId.TryParse($"mira_key_00000000000{text}", out _);
            _ = Roles.TryParse(text, out _);
            _ = KeyStatuses.TryParse(text, out _);
        }
    }

    [Test]
    public void Every_scalar_can_stand_beside_those_that_normalisation_moves()
    {
        string[] neighbours = ["\u0308", "\u0345", "\u1161", "\u3099", "\U0001D165", "e", "\uAC00", "\U000110BA"];
        foreach (var (_, text) in All().Where((_, number) => number % 7 == 0))
        {
            foreach (var neighbour in neighbours)
            {
                Label.TryNormalize(text + neighbour, Label.MaximumLength, out _);
                Label.TryNormalize(neighbour + text, Label.MaximumLength, out _);
            }
        }
    }

    [TestCase(0xFFFE)]
    [TestCase(0xFFFF)]
    [TestCase(0xFDD0)]
    [TestCase(0xFDEF)]
    [TestCase(0x1FFFE)]
    [TestCase(0x10FFFF)]
    public void A_noncharacter_is_refused_wherever_it_stands(int scalar)
    {
        var text = char.ConvertFromUtf32(scalar);

        Assert.That(Label.TryNormalize($"a{text}b", Label.MaximumLength, out _), Is.False);
        Assert.That(Label.MayHold(text), Is.False);
        Assert.That(Metadata.IsValue(text), Is.False);
        Assert.That(Metadata.IsKey($"a{text}"), Is.False);
    }

    [TestCase(0xFDCF)]
    [TestCase(0xFDF0)]
    [TestCase(0xFFFD)]
    [TestCase(0x1FFFD)]
    public void Its_neighbours_are_not(int scalar) => Assert.That(Label.TryNormalize($"a{char.ConvertFromUtf32(scalar)}b", Label.MaximumLength, out _));

    [TestCase("\u200B", Description = "zero-width space")]
    [TestCase("\u200D\u200C", Description = "joiners without anything to join")]
    [TestCase("\uFEFF", Description = "byte order mark")]
    [TestCase("\u00AD", Description = "soft hyphen")]
    [TestCase("\u2060 \u3000")]
    [TestCase("\u0308", Description = "a mark without a letter")]
    [TestCase("\uFE0F", Description = "variation selector")]
    [TestCase("\u034F\u180B")]
    [TestCase("\U000E0041\U000E007F", Description = "tags")]
    [TestCase("\u115F\u1160\u3164\uFFA0", Description = "Hangul fillers")]
    [TestCase("\u2800", Description = "blank Braille pattern")]
    [TestCase("\uE000", Description = "private use: what it looks like nobody knows")]
    [TestCase("\u0378", Description = "not assigned")]
    public void A_name_that_nobody_can_see_is_refused_and_may_stand_beside_something(string text)
    {
        Assert.That(Label.TryNormalize(text, Label.MaximumLength, out _), Is.False);
        Assert.That(Label.TryNormalize($"a{text}b", Label.MaximumLength, out _));
    }

    [TestCase("a" + Invisible)]
    [TestCase("e\u0308")]
    [TestCase("\u0915\u094D\u200D\u0937", Description = "Devanagari with a joiner")]
    [TestCase("\u0646\u0645\u06CC\u200C\u062E", Description = "Persian with a non-joiner")]
    [TestCase("\u2764\uFE0F")]
    [TestCase("1")]
    [TestCase("$")]
    [TestCase("…")]
    public void What_can_be_seen_is_a_name(string text) => Assert.That(Label.TryNormalize(text, Label.MaximumLength, out _));

    [TestCase("old\uFFFEname")]
    [TestCase("\uFFFF")]
    [TestCase("\U0001FFFEx")]
    public void A_name_that_was_stored_before_can_still_be_looked_for(string text) => Assert.That(Label.Fold(text), Is.EqualTo(text.ToUpperInvariant()));

    private static bool IsNoncharacter(int scalar) => scalar is >= 0xFDD0 and <= 0xFDEF || (scalar & 0xFFFF) >= 0xFFFE;

    private static IEnumerable<(int Scalar, string Text)> All()
    {
        for (var scalar = 0; scalar <= 0x10FFFF; scalar++)
        {
            if (scalar is < 0xD800 or > 0xDFFF)
                yield return (scalar, char.ConvertFromUtf32(scalar));
        }
    }
}
