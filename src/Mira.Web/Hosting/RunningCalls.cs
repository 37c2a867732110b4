using Mira.Application.Metrics;

namespace Mira.Web.Hosting;

/// <summary>How many calls are served now, those for health and metrics aside.</summary>
public sealed class RunningCalls(LoadGuardOptions options) : IMeasured
{
    private const string Name = "http.server.active_requests";

    private int _count;

    /// <summary>Takes a place for a call, which gives it back with <see cref="Leave"/>; false when all are taken.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _count) <= options.ConcurrentCalls)
            return true;

        Leave();
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _count);

    // Under the platform's name: its own instrument does the same count once more, twice for each call, where all threads meet.
    public void ShowOn(Instruments instruments) =>
        instruments.Gauge(Name, "Calls that are served now, those for health and metrics aside", () => Volatile.Read(ref _count));
}
