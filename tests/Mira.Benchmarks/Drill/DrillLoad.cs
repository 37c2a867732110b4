using System.Collections.Concurrent;
using System.Net.Http.Json;

namespace Mira.Benchmarks.Drill;

/// <summary>
/// The ordinary life of the nodes during the drill: a good key at each of them 50 times a second, and a key made every
/// second.
/// </summary>
internal sealed class DrillLoad : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _callers;
    private ConcurrentDictionary<string, int> _calls = new();
    private ConcurrentDictionary<string, int> _changes = new();

    public DrillLoad(IReadOnlyList<HttpClient> nodes, HttpClient admin) => _callers =
    [
        .. nodes.Select(node => Task.Run(() => RepeatAsync(TimeSpan.FromMilliseconds(20), () => node.GetAsync("/api/auth/validate"), () => _calls))),
        Task.Run(() => RepeatAsync(TimeSpan.FromSeconds(1), () => admin.PostAsJsonAsync("/api/keys", new { name = "made", role = "viewer" }), () => _changes)),
    ];

    /// <summary>Begins to count anew.</summary>
    public void Start() => (_calls, _changes) = (new(), new());

    public string Calls() => Tell(_calls);

    public string Changes() => Tell(_changes);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_callers);
        _stop.Dispose();
    }

    private static string Tell(ConcurrentDictionary<string, int> counts) => string.Join(", ", counts.OrderBy(pair => pair.Key).Select(pair => $"{pair.Value} × {pair.Key}"));

    private async Task RepeatAsync(TimeSpan interval, Func<Task<HttpResponseMessage>> call, Func<ConcurrentDictionary<string, int>> counts)
    {
        using var pace = new PeriodicTimer(interval);
        while (!_stop.IsCancellationRequested)
        {
            string outcome;
            try
            {
                using var answer = await call();
                outcome = ((int)answer.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
            }
            catch (HttpRequestException)
            {
                outcome = "no answer";
            }

            counts().AddOrUpdate(outcome, 1, (_, before) => before + 1);
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }
    }
}
