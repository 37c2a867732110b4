namespace Mira.Testing;

/// <summary>
/// A wall clock and a monotonic one that can go apart, as they do when a machine sleeps or its clock is set.
/// </summary>
public sealed class TwoClocks : TimeProvider
{
    private DateTimeOffset _wall = HeldKey.Start;
    private long _monotonic = 1_000;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => _wall;

    public override long GetTimestamp() => _monotonic;

    public void Pass(TimeSpan time)
    {
        _wall += time;
        _monotonic += time.Ticks;
    }

    public void PassSeconds(double seconds) => Pass(TimeSpan.FromSeconds(seconds));

    /// <summary>Somebody sets the wall clock.</summary>
    public void SetWall(TimeSpan forward) => _wall += forward;

    /// <summary>The wall clock is held while time goes on.</summary>
    public void PassUnseenByWall(TimeSpan time) => _monotonic += time.Ticks;
}
