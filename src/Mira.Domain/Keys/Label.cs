using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Mira.Domain.Keys;

/// <summary>Text that people write and other people trust: names, owners and reasons, which no one may use to imitate another or to break a line.</summary>
public static class Label
{
    public const int MaximumLength = 100;
    public const int MaximumReasonLength = 500;

    /// <summary>
    /// Normalises to NFC and accepts 1 to <paramref name="maximumLength"/> Unicode scalar values that are not all blank, without control,
    /// line- or paragraph-separator or bidirectional-control characters.
    /// </summary>
    public static bool TryNormalize([NotNullWhen(true)] string? text, int maximumLength, [NotNullWhen(true)] out string? label)
    {
        label = null;
        // NFC never makes more than three UTF-16 units of one, so a far longer text is refused before the work.
        if (text is null || text.Length > maximumLength * 8 || !IsWellFormed(text))
            return false;

        var normalized = text.Normalize(NormalizationForm.FormC);
        if (string.IsNullOrWhiteSpace(normalized) || CountScalars(normalized) > maximumLength || HasForbidden(normalized))
            return false;

        label = normalized;
        return true;
    }

    /// <summary>May the text be a part of a label? What may not is found in none, and not every database takes it.</summary>
    public static bool MayHold(string text) => IsWellFormed(text) && !HasForbidden(text);

    /// <summary>The form in which <c>q</c> is looked for: no difference of case.</summary>
    public static string Fold(string text) => text.Normalize(NormalizationForm.FormC).ToUpperInvariant();

    internal static bool IsWellFormed(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!Rune.TryGetRuneAt(text, i, out _))
                return false;
            i++;
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

    // Unicode property Bidi_Control.
    private static bool IsBidirectionalControl(char character) =>
        character is '\u061C' or '\u200E' or '\u200F' or (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');
}
