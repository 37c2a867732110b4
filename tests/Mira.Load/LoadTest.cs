namespace Mira.Load;

/// <summary>
/// A whole load test: prepares keys, warms up, measures the bare endpoint and the server, and judges.
/// </summary>
public sealed class LoadTest(Options options, TimeProvider clock, Action<string> say)
{
    private static readonly Phase[] Warming = [Phase.Steady(3, 200)];
    private static readonly TimeSpan LongestBare = TimeSpan.FromSeconds(20);

    public async Task<Results> RunAsync(CancellationToken cancellationToken)
    {
        var scenario = options.Scenario;
        say($"{scenario.Name}: {scenario.Summary}");
        var bare = options.HasBare ? await MeasureBareAsync(scenario, cancellationToken) : null;

        await using var node = options.Url is null
            // Its admin makes thousands of keys at once.
            ? await OwnNode.StartAsync(options.Binary, ("RATE_LIMIT_ADMIN", "10000000"), ("LOG_LEVEL", "WARN"))
            : null;
        var address = options.Url ?? node!.Address;
        using var caller = new Caller(address, node?.Admin ?? options.Key);
        await caller.PrepareAsync(scenario.Keys, scenario.WrongShare > 0, cancellationToken);
        var planned = Text.Count(Arrivals.Of(scenario.Phases).Count());
        say($"{address} with {caller.Keys} keys, {planned} requests in {scenario.Length.TotalSeconds:0} s");

        var send = caller.Calling(new Uri(options.Path, UriKind.Relative), scenario);
        await new Driver(send, clock)
            .RunAsync(Arrivals.Of(Warming), new Run(Arrivals.LengthOf(Warming)), cancellationToken);

        var (run, samples) = await MeasureAsync(send, scenario, node?.Process, cancellationToken);
        if (node is null)
            await caller.EndAsync(cancellationToken);
        return new Results(scenario, address, clock.GetUtcNow(), caller.Keys, run, bare, samples,
            Verdict.Of(scenario, run, samples));
    }

    private async Task<Run> MeasureBareAsync(Scenario scenario, CancellationToken cancellationToken)
    {
        say("the bare endpoint, with the same load:");
        var seconds = Math.Min(scenario.Length.TotalSeconds, LongestBare.TotalSeconds);
        var shortened = scenario with { Phases = Arrivals.Scale(scenario.Phases, seconds, null), WrongShare = 0 };
        await using var server = await BareServer.StartAsync(cancellationToken);
        using var caller = new Caller(server.Address, null);
        await caller.PrepareAsync(0, false, cancellationToken);
        var send = caller.Calling(new Uri("/", UriKind.Relative), shortened);
        await new Driver(send, clock)
            .RunAsync(Arrivals.Of(Warming), new Run(Arrivals.LengthOf(Warming)), cancellationToken);
        return (await MeasureAsync(send, shortened, null, cancellationToken)).Run;
    }

    private async Task<(Run Run, IReadOnlyList<ProcessSample> Samples)> MeasureAsync(
        Send send, Scenario scenario, System.Diagnostics.Process? process, CancellationToken cancellationToken)
    {
        var run = new Run(scenario.Length);
        var samples = new List<ProcessSample>();
        var shown = 0;
        var start = clock.GetTimestamp();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = WatchAsync();
        await new Driver(send, clock).RunAsync(Arrivals.Of(scenario.Phases), run, cancellationToken);
        await ended.CancelAsync();
        await watching;
        ShowUntil(run.Windows.Count);
        return (run, samples);

        async Task WatchAsync()
        {
            using var timer = new PeriodicTimer(run.WindowLength, clock);
            try
            {
                while (await timer.WaitForNextTickAsync(ended.Token))
                {
                    var at = clock.GetElapsedTime(start);
                    if (process is not null && ProcessSample.Of(process, at) is { } sample)
                        samples.Add(sample);
                    // One window late, when most of its responses are there.
                    ShowUntil((int)(at / run.WindowLength) - 1);
                }
            }
            catch (OperationCanceledException)
            {
                // The run ended.
            }
        }

        void ShowUntil(int window)
        {
            for (; shown < Math.Min(window, run.Windows.Count); shown++)
                say(Progress(run, shown));
        }
    }

    /// <summary>One line about a window that is over.</summary>
    private static string Progress(Run run, int index)
    {
        var window = run.Windows[index];
        var at = Math.Min((index + 1) * run.WindowLength.TotalSeconds, run.Length.TotalSeconds);
        var (rate, median, slow) =
            (window.Ended / run.WindowLength.TotalSeconds, window.Latencies.Percentile(50), window.Latencies.Percentile(99));
        return string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{at,6:0} s  {rate,6:0}/s  p50 {Text.Milliseconds(median),9}  p99 {Text.Milliseconds(slow),9}  ") +
            $"{run.Failed} failed  {run.InFlight} on their way";
    }
}

/// <summary>What a load test found.</summary>
/// <param name="Bare">The bare endpoint under the same load; null when it was left out.</param>
/// <param name="Samples">Of the server's process; empty when it runs elsewhere.</param>
public sealed record Results(
    Scenario Scenario, Uri Address, DateTimeOffset At, int Keys, Run Run, Run? Bare,
    IReadOnlyList<ProcessSample> Samples, IReadOnlyList<Verdict> Verdicts)
{
    public bool IsPassed => Verdicts.All(verdict => verdict.IsKept);
}
