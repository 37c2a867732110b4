using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>Who did it: a key with its name and role at that time, or the system itself, and from where.</summary>
public sealed record Actor(string? KeyId, string? Name, string? Role, string? Ip, string? UserAgent)
{
    public const int MaximumUserAgentLength = 256;

    /// <summary>Stands for the start of the service and the recovery of a lost admin, which no key does.</summary>
    public const string SystemName = "system";

    public static Actor System { get; } = new(null, SystemName, null, null, null);

    /// <summary>
    /// As the caller said it, at most 256 characters of it. What no store could hold stands as U+FFFD.
    /// </summary>
    public string? UserAgent { get; } = ToWritable(Clip(UserAgent));

    /// <summary>What a key's <c>created_by</c> and <c>revoked_by</c> say.</summary>
    public string Author => KeyId ?? Name ?? SystemName;

    // A character outside the basic plane is two units long, and never cut in the middle.
    private static string? Clip(string? text) => text switch
    {
        null or "" => null,
        { Length: <= MaximumUserAgentLength } => text,
        _ => text[..(char.IsHighSurrogate(text[MaximumUserAgentLength - 1]) ? MaximumUserAgentLength - 1 : MaximumUserAgentLength)],
    };

    // Half of a surrogate pair is no text, and PostgreSQL takes no NUL. Noncharacters are for no exchange between
    // programs.
    private static string? ToWritable(string? text)
    {
        if (text is null || (UnicodeText.IsWellFormed(text) && text.AsSpan().IndexOfAny('\0', '\uFFFE', '\uFFFF') < 0))
            return text;

        var written = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            written.Append(rune.Value is 0 or 0xFFFE or 0xFFFF ? Rune.ReplacementChar : rune);
        return written.ToString();
    }
}
