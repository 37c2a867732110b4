using Mira.Application.Metrics;

namespace Mira.Web.Hosting;

/// <summary>How many calls are served now, those for health and metrics aside.</summary>
public sealed class RunningCalls : IMeasured
{
    private const string Name = "http.server.active_requests";

    private int _count;

    /// <returns>How many there are with it.</returns>
    public int Enter() => Interlocked.Increment(ref _count);

    public void Leave() => Interlocked.Decrement(ref _count);

    // Under the platform's name: its own instrument does the same count once more, twice for each call, where all threads meet.
    public void ShowOn(Instruments instruments) =>
        instruments.Gauge(Name, "Calls that are served now, those for health and metrics aside", () => Volatile.Read(ref _count));
}
