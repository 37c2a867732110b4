using System.Diagnostics;
using Mira.Web.Tests.Reliability;

namespace Mira.Web.Tests.Cluster;

/// <summary>
/// Callers at every node, each making one call after the other until they are stopped, and keeping what became of each.
/// They pause a moment between calls: the machine serves too, and one that is busy with calling measures itself.
/// </summary>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    private readonly List<Task<List<Call>>> _callers;
    private volatile bool _isOver;
    private int _made;

    private Load(ThreeNodes nodes, string token, int callers) =>
        _callers = [.. Enumerable.Range(0, callers * ThreeNodes.Count).Select(caller => Task.Run(() => CallAsync(nodes, caller % ThreeNodes.Count, token)))];

    /// <param name="callers">At each node.</param>
    public static Load Start(ThreeNodes nodes, string token, int callers) => new(nodes, token, callers);

    /// <summary>Waits until so many more calls were made.</summary>
    public Task GoOnAsync(int calls)
    {
        var end = Volatile.Read(ref _made) + calls;
        return Soak.UntilAsync(() => Volatile.Read(ref _made) >= end || _callers.Exists(caller => caller.IsFaulted));
    }

    public async Task<IReadOnlyList<Call>> StopAsync()
    {
        _isOver = true;
        return [.. (await Task.WhenAll(_callers)).SelectMany(calls => calls)];
    }

    public async ValueTask DisposeAsync()
    {
        _isOver = true;
        await Task.WhenAll(_callers);
    }

    private async Task<List<Call>> CallAsync(ThreeNodes nodes, int node, string token)
    {
        var calls = new List<Call>();
        using var pace = new PeriodicTimer(Pace);
        while (!_isOver)
        {
            await pace.WaitForNextTickAsync();
            calls.Add(await Call.MakeAsync(nodes, node, token));
            Interlocked.Increment(ref _made);
        }

        return calls;
    }
}

/// <param name="Began">Before it was sent.</param>
/// <param name="Ended">After its answer was there.</param>
/// <param name="Status">0 when there was no answer.</param>
internal sealed record Call(int Node, long Began, long Ended, int Status)
{
    public double Milliseconds => Stopwatch.GetElapsedTime(Began, Ended).TotalMilliseconds;

    public static async Task<Call> MakeAsync(ThreeNodes nodes, int node, string token)
    {
        var began = Stopwatch.GetTimestamp();
        int status;
        try
        {
            status = await nodes.AskAsync(node, token);
        }
        catch (HttpRequestException)
        {
            status = 0;
        }

        return new Call(node, began, Stopwatch.GetTimestamp(), status);
    }

    /// <summary>How long they took, in one line.</summary>
    public static string Figures(IReadOnlyCollection<Call> calls) => Figures(calls.Select(call => call.Milliseconds));

    public static string Figures(IEnumerable<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        return FormattableString.Invariant($"{sorted.Length}: p50 {At(0.50):F1} ms, p99 {At(0.99):F1} ms, max {sorted[^1]:F1} ms");

        double At(double share) => sorted[Math.Min((int)Math.Ceiling(share * sorted.Length), sorted.Length) - 1];
    }
}
