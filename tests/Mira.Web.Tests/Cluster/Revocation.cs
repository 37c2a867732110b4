using System.Diagnostics;
using Mira.Web.Tests.Reliability;

namespace Mira.Web.Tests.Cluster;

/// <summary>
/// A key that is called at all nodes while one of them revokes it. The lag of a node is the time from the revocation's
/// answer to the beginning of the last call after it that was let in there; zero when there was none.
/// </summary>
internal sealed class Revocation
{
    private const int Callers = 2;
    private const int RefusalsToSee = 2;

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(1);

    private readonly ThreeNodes _nodes;
    private readonly string _token;
    private int _warm;
    private long _answered;

    private Revocation(ThreeNodes nodes, string token)
    {
        _nodes = nodes;
        _token = token;
    }

    /// <summary>Lags of the nodes other than the one that revoked, in milliseconds.</summary>
    public static async Task<IReadOnlyList<double>> MeasureAsync(ThreeNodes nodes, int rounds)
    {
        var lags = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            var writer = round % ThreeNodes.Count;
            lags.AddRange(await new Revocation(nodes, await nodes.CreateAsync(writer)).RunAsync(writer));
        }

        return lags;
    }

    private async Task<IEnumerable<double>> RunAsync(int writer)
    {
        var callers = Enumerable.Range(0, Callers * ThreeNodes.Count).Select(caller => Task.Run(() => CallAsync(caller % ThreeNodes.Count))).ToList();
        long sent;
        try
        {
            await Soak.UntilAsync(() => Volatile.Read(ref _warm) == callers.Count);
            sent = Stopwatch.GetTimestamp();
            await _nodes.RevokeAsync(writer, _token);
        }
        finally
        {
            Volatile.Write(ref _answered, Stopwatch.GetTimestamp());
        }

        var calls = (await Task.WhenAll(callers)).SelectMany(own => own).ToList();
        Assert.That(calls.Where(call => call.Status is not (200 or 401)), Is.Empty, "A call failed.");
        Assert.That(calls.Where(call => call.Status == 401 && call.Ended < sent), Is.Empty, "A good key was refused.");
        var lags = Enumerable.Range(0, ThreeNodes.Count).Select(node => Lag([.. calls.Where(call => call.Node == node)])).ToList();
        Assert.That(lags[writer], Is.Zero, "The node that had answered let the key in.");
        return lags.Where((_, node) => node != writer);
    }

    private async Task<List<Call>> CallAsync(int node)
    {
        var calls = new List<Call>();
        using var pace = new PeriodicTimer(Pace);
        for (var refusals = 0; refusals < RefusalsToSee;)
        {
            await pace.WaitForNextTickAsync();
            var call = await Call.MakeAsync(_nodes, node, _token);
            calls.Add(call);
            if (calls.Count == 1)
                Interlocked.Increment(ref _warm);
            if (Volatile.Read(ref _answered) is var answered && answered == 0)
                continue;

            refusals += call.Status == 401 && call.Began > answered ? 1 : 0;
            Assert.That(Stopwatch.GetElapsedTime(answered), Is.LessThan(TimeSpan.FromSeconds(30)), "It is never refused.");
        }

        return calls;
    }

    private double Lag(IReadOnlyList<Call> calls)
    {
        var refused = calls.Where(call => call.Status == 401).Min(call => call.Ended);
        Assert.That(calls.Where(call => call.Status == 200 && call.Began > refused), Is.Empty, "What had been refused was let in again.");
        return calls.Where(call => call.Status == 200 && call.Began > _answered)
            .Select(call => Stopwatch.GetElapsedTime(_answered, call.Began).TotalMilliseconds).DefaultIfEmpty().Max();
    }
}
