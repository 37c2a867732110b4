using System.Globalization;

namespace Mira.Domain.Ledger;

/// <summary>Times as Mira writes them, everywhere: RFC 3339, UTC, milliseconds, <c>Z</c>.</summary>
public static class Rfc3339
{
    public static string Format(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Cuts what <see cref="Format"/> does not show, so that a time is the same in memory, in the store and in an answer.</summary>
    public static DateTimeOffset Truncate(DateTimeOffset time) =>
        new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerMillisecond), TimeSpan.Zero);
}
