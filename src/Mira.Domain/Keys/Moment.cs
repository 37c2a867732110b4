namespace Mira.Domain.Keys;

/// <summary>
/// A time in UTC, or none, in 8 bytes: a <see cref="DateTimeOffset"/> takes 16, a nullable one 24, and nodes keep
/// millions of keys in memory.
/// </summary>
internal readonly struct Moment
{
    private readonly long _ticks;

    private Moment(DateTimeOffset? time) => _ticks = time?.UtcTicks ?? 0;

    /// <summary>The time; for what always has one.</summary>
    public DateTimeOffset Value => new(_ticks, TimeSpan.Zero);

    // The year 1 begins with tick 0, when there were no keys.
    public static implicit operator DateTimeOffset?(Moment moment) => moment._ticks == 0 ? null : moment.Value;

    public static implicit operator Moment(DateTimeOffset time) => new(time);

    public static implicit operator Moment(DateTimeOffset? time) => new(time);
}
