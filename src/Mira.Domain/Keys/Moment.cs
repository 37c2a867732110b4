namespace Mira.Domain.Keys;

/// <summary>A time in UTC, or none, in 8 bytes: as a nullable <see cref="DateTimeOffset"/> it takes 24, and nodes keep millions of keys in memory.</summary>
internal readonly struct Moment
{
    private readonly long _ticks;

    private Moment(DateTimeOffset? time) => _ticks = time?.UtcTicks ?? 0;

    // The year 1 begins with tick 0, when there were no keys.
    public static implicit operator DateTimeOffset?(Moment moment) => moment._ticks == 0 ? null : new DateTimeOffset(moment._ticks, TimeSpan.Zero);

    public static implicit operator Moment(DateTimeOffset? time) => new(time);
}
