using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Mira.Domain.Ledger;

namespace Mira.Domain.Keys;

/// <summary>
/// Text that people write and other people trust: names, owners and reasons, which no one may use to imitate another or
/// to break a line.
/// </summary>
public static class Label
{
    public const int MaximumLength = 100;
    public const int MaximumReasonLength = 500;

    /// <summary>
    /// Normalises to NFC and accepts 1 to <paramref name="maximumLength"/> Unicode scalar values, at least one of them
    /// visible, without noncharacters and control, line- or paragraph-separator or bidirectional-control characters.
    /// </summary>
    /// <remarks>
    /// Not visible are blanks, format characters, marks that only change what stands before them, what Unicode has not
    /// assigned or leaves to private use, and the few letters and symbols that are empty on purpose. All of these may
    /// stand beside something visible: joiners make emoji, and variation selectors choose their look.
    /// </remarks>
    public static bool TryNormalize([NotNullWhen(true)] string? text, int maximumLength, [NotNullWhen(true)] out string? label)
    {
        label = null;
        // NFC never makes more than three UTF-16 units of one, so a far longer text is refused before the work.
        if (text is null || text.Length > maximumLength * 8 || !IsPlain(text))
            return false;

        var normalized = text.Normalize(NormalizationForm.FormC);
        if (CountScalars(normalized) > maximumLength || HasForbidden(normalized) || !HasVisible(normalized))
            return false;

        label = normalized;
        return true;
    }

    /// <summary>
    /// May the text be a part of a label? What may not is found in none, and not every database takes it.
    /// </summary>
    public static bool MayHold(string text) => IsPlain(text) && !HasForbidden(text);

    /// <summary>The form in which <c>q</c> is looked for: no difference of case.</summary>
    /// <remarks>
    /// Text that was stored before noncharacters were refused is taken as it is, since the platform normalises none
    /// that holds one.
    /// </remarks>
    public static string Fold(string text) => (IsPlain(text) ? text.Normalize(NormalizationForm.FormC) : text).ToUpperInvariant();

    /// <summary>
    /// Well-formed, and without noncharacters, which Unicode assigns never and the platform does not normalise.
    /// </summary>
    internal static bool IsPlain(string text)
    {
        if (!UnicodeText.IsWellFormed(text))
            return false;

        foreach (var scalar in text.EnumerateRunes())
        {
            if (IsNoncharacter(scalar.Value))
                return false;
        }

        return true;
    }

    internal static int CountScalars(string text)
    {
        var count = 0;
        foreach (var character in text)
        {
            if (!char.IsLowSurrogate(character))
                count++;
        }

        return count;
    }

    private static bool HasForbidden(string text)
    {
        foreach (var character in text)
        {
            var category = char.GetUnicodeCategory(character);
            if (category is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
                || IsBidirectionalControl(character))
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasVisible(string text)
    {
        foreach (var scalar in text.EnumerateRunes())
        {
            if (IsVisible(scalar))
                return true;
        }

        return false;
    }

    private static bool IsVisible(Rune scalar) => !IsEmptyOnPurpose(scalar.Value) && Rune.GetUnicodeCategory(scalar) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark);

    // The Hangul fillers are letters, the blank Braille pattern and the null notehead are symbols.
    private static bool IsEmptyOnPurpose(int scalar) => scalar is 0x115F or 0x1160 or 0x3164 or 0xFFA0 or 0x2800 or 0x1D159;

    // Unicode property Noncharacter_Code_Point.
    private static bool IsNoncharacter(int scalar) => scalar is >= 0xFDD0 and <= 0xFDEF || (scalar & 0xFFFE) == 0xFFFE;

    // Unicode property Bidi_Control.
    private static bool IsBidirectionalControl(char character) =>
        character is '\u061C' or '\u200E' or '\u200F' or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');
}
