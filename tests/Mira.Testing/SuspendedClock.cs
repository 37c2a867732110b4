using Microsoft.Extensions.Time.Testing;

namespace Mira.Testing;

/// <summary>A clock whose monotonic part stands still while the machine sleeps.</summary>
public sealed class SuspendedClock : FakeTimeProvider
{
    public TimeSpan Slept { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Slept;
}
