using Mira.Application.Metrics;
using Mira.Application.Settings;

namespace Mira.Web.Requests;

/// <summary>How many calls are served now, those for health and metrics aside.</summary>
public sealed class RunningCalls(LoadGuardOptions options) : IMetricSource
{
    private const string Name = "http.server.active_requests";

    private int _count;

    /// <summary>
    /// Takes a place for a call, which gives it back with <see cref="Leave"/>; false when all are taken.
    /// </summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _count) <= options.ConcurrentCalls)
            return true;

        Leave();
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _count);

    // Under the platform's name: its own instrument does the same count once more, twice for each call, where all
    // threads meet.
    public void Register(Instruments instruments) =>
        instruments.Gauge(Name, "Calls that are served now, those for health and metrics aside", () => Volatile.Read(ref _count));
}

/// <summary>
/// <c>Mira__ConcurrentCalls</c>, 1 to 100 000: calls served at once, those for health and metrics aside; more are
/// answered 503.
/// </summary>
public sealed record LoadGuardOptions(int ConcurrentCalls)
{
    public static LoadGuardOptions Read(SettingReader settings) => new(settings.Number("Mira__ConcurrentCalls", null, 1_000, 1, 100_000));
}
