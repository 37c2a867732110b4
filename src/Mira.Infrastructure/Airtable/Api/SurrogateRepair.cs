using System.Globalization;
using System.Text;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// JSON may hold half of a surrogate pair (<c>\ud800</c>). The platform parses it and throws when the text is read, so
/// one such cell would stop everything that is read together with it. Each is replaced before the JSON is parsed.
/// </summary>
internal static class SurrogateRepair
{
    private const string Replacement = "\\ufffd";
    private const int EscapeLength = 6;

    /// <summary>The same JSON with the replacement character (U+FFFD) for each half of a pair.</summary>
    public static string Mend(string json)
    {
        StringBuilder? mended = null;
        var taken = 0;
        for (var at = json.IndexOf('\\'); at >= 0 && at + 1 < json.Length; at = Next(json, at))
        {
            if (CodeAt(json, at) is not { } code || !char.IsSurrogate(code))
            {
                at += 2;
                continue;
            }

            if (char.IsHighSurrogate(code) && CodeAt(json, at + EscapeLength) is { } low && char.IsLowSurrogate(low))
            {
                at += 2 * EscapeLength;
                continue;
            }

            (mended ??= new StringBuilder(json.Length)).Append(json, taken, at - taken).Append(Replacement);
            taken = at += EscapeLength;
        }

        return mended is null ? json : mended.Append(json, taken, json.Length - taken).ToString();
    }

    private static int Next(string json, int from) => from >= json.Length ? -1 : json.IndexOf('\\', from);

    /// <returns>Null when no <c>\uXXXX</c> stands there.</returns>
    private static char? CodeAt(string json, int at) =>
        at + EscapeLength <= json.Length && json[at] == '\\' && json[at + 1] == 'u'
        && ushort.TryParse(json.AsSpan(at + 2, EscapeLength - 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            ? (char)code
            : null;
}
