using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mira.Domain.Ledger;

/// <summary>
/// JSON in the one form of RFC 8785 (JSON Canonicalization Scheme): names sorted by UTF-16 code units, no blanks, the
/// shortest escapes. Numbers are whole numbers up to 2^53, the only ones the ledger holds.
/// </summary>
public static class CanonicalJson
{
    private const long LargestExact = 1L << 53;

    /// <exception cref="ArgumentException">A number that is not a whole one within ±2^53, or a text with half a
    /// surrogate pair.</exception>
    public static string Write(JsonNode? node)
    {
        var text = new StringBuilder(512);
        Write(text, node);
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonNode? node)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject pairs:
                WriteObject(text, pairs);
                break;
            case JsonArray items:
                WriteArray(text, items);
                break;
            default:
                WriteValue(text, node);
                break;
        }
    }

    private static void WriteObject(StringBuilder text, JsonObject pairs)
    {
        var separator = '{';
        foreach (var (name, value) in pairs.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text.Append(separator);
            WriteString(text, name);
            text.Append(':');
            Write(text, value);
            separator = ',';
        }

        text.Append(separator == '{' ? "{}" : "}");
    }

    private static void WriteArray(StringBuilder text, JsonArray items)
    {
        var separator = '[';
        foreach (var item in items)
        {
            text.Append(separator);
            Write(text, item);
            separator = ',';
        }

        text.Append(separator == '[' ? "[]" : "]");
    }

    private static void WriteValue(StringBuilder text, JsonNode value)
    {
        switch (value.GetValueKind())
        {
            case JsonValueKind.String:
                WriteString(text, value.GetValue<string>());
                break;
            case JsonValueKind.True:
                text.Append("true");
                break;
            case JsonValueKind.False:
                text.Append("false");
                break;
            default:
                if (!long.TryParse(value.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                    || number is < -LargestExact or > LargestExact)
                {
                    throw new ArgumentException("The ledger holds whole numbers within 2^53 only.", nameof(value));
                }

                text.Append(CultureInfo.InvariantCulture, $"{number}");
                break;
        }
    }

    private static void WriteString(StringBuilder text, string value)
    {
        // As UTF-8 every such half is U+FFFD: two texts would share one hash.
        if (!UnicodeText.IsWellFormed(value))
            throw new ArgumentException("The ledger holds well-formed Unicode only.", nameof(value));

        text.Append('"');
        foreach (var character in value)
        {
            _ = character switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\b' => text.Append("\\b"),
                '\t' => text.Append("\\t"),
                '\n' => text.Append("\\n"),
                '\f' => text.Append("\\f"),
                '\r' => text.Append("\\r"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => text.Append(character),
            };
        }

        text.Append('"');
    }
}
