using System.Globalization;

namespace Mira.Domain.Ledger;

/// <summary>Times as Mira writes them, everywhere: RFC 3339, UTC, milliseconds, <c>Z</c>.</summary>
public static class Rfc3339
{
    private const int LengthToMilliseconds = 23;

    // The round-trip form has seven digits of a second; the first three are what is shown.
    public static string Format(DateTimeOffset time) => string.Create(LengthToMilliseconds + 1, time.UtcDateTime, static (text, utc) =>
    {
        Span<char> whole = stackalloc char[28];
        utc.TryFormat(whole, out _, "O", CultureInfo.InvariantCulture);
        whole[..LengthToMilliseconds].CopyTo(text);
        text[^1] = 'Z';
    });

    /// <summary>
    /// Cuts what <see cref="Format"/> does not show, so that a time is the same in memory, in the store and in an
    /// answer.
    /// </summary>
    public static DateTimeOffset Truncate(DateTimeOffset time) =>
        new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerMillisecond), TimeSpan.Zero);
}
