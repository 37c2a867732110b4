namespace Mira.Application.Verification;

/// <summary>A moment by both clocks: a node that slept, or whose clock jumped, counts the larger of the two.</summary>
internal sealed record ClockReading(long Timestamp, DateTimeOffset Time)
{
    public static ClockReading At(TimeProvider clock) => new(clock.GetTimestamp(), clock.GetUtcNow());

    public TimeSpan Elapsed(TimeProvider clock)
    {
        var monotonic = clock.GetElapsedTime(Timestamp);
        var wall = clock.GetUtcNow() - Time;
        return monotonic > wall ? monotonic : wall;
    }
}
