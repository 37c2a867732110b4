using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Mira.Application;

/// <summary>
/// Where a page of a list ended: the ledger seq of its last row, in a form nobody is tempted to count with.
/// </summary>
public static class Cursor
{
    public static string Write(string list, long seq) => Base64Url.EncodeToString(Encoding.ASCII.GetBytes($"{list}:{seq}"));

    public static bool TryRead(string list, string cursor, out long seq)
    {
        seq = 0;
        if (cursor.Length > 64 || !Base64Url.IsValid(cursor))
            return false;

        var text = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(cursor));
        return text.StartsWith($"{list}:", StringComparison.Ordinal)
               && long.TryParse(text.AsSpan(list.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out seq);
    }
}
