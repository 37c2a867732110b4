using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Reliability;

namespace Mira.Web.Tests.Cluster;

/// <summary>What three nodes hold together while nothing is broken but a clock, a pause or a late write.</summary>
internal sealed class ThreeNodeTests
{
    /// <summary>
    /// What a revocation takes at most is 2 s, and a second of it is for a machine that is busy with other things.
    /// </summary>
    internal static readonly TimeSpan Bound = TimeSpan.FromSeconds(3);

    private const int CallsOfBurst = 3_000;
    private const int BusyLoops = 4;
    private const int MaximumAttempts = 40;

    private ThreeNodes _nodes = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _nodes = await ThreeNodes.StartAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _nodes.DisposeAsync();

    [Test]
    public async Task A_key_revoked_under_load_is_refused_by_all_nodes()
    {
        await using var load = Load.Start(_nodes, await _nodes.CreateAsync(0), callers: 2);
        var lags = await Revocation.MeasureAsync(_nodes, Soak.Revocations);

        var calls = await load.StopAsync();
        Soak.Print($"lags at the other two nodes, {Call.Figures(lags)}, above zero {lags.Count(lag => lag > 0)}");
        Soak.Print($"calls with another key meanwhile, {Call.Figures(calls)}");
        Assert.That(lags.Max(), Is.LessThan(Bound.TotalMilliseconds));
        Assert.That(calls.Where(call => call.Status != 200), Is.Empty);
    }

    [Test]
    public async Task A_new_secret_works_everywhere_for_the_first_call_after_the_answer()
    {
        await using var load = Load.Start(_nodes, await _nodes.CreateAsync(0), callers: 1);
        for (var round = Soak.RoundsOf(20); round > 0; round--)
        {
            var made = await _nodes.CreateAsync(round % ThreeNodes.Count);
            Assert.That(await _nodes.AskAllAsync(made), Is.All.EqualTo(200), "made");
            var rotated = await _nodes.RotateAsync((round + 1) % ThreeNodes.Count, made);
            Assert.That(await _nodes.AskAllAsync(rotated), Is.All.EqualTo(200), "rotated, where the old secret is warm");
        }
    }

    [Test]
    public async Task A_node_that_wakes_does_not_serve_what_it_slept_through()
    {
        const int asleep = 2;
        for (var round = Soak.RoundsOf(2); round > 0; round--)
        {
            var tokens = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _nodes.CreateAsync(0)));
            foreach (var token in tokens)
                Assert.That(await _nodes.AskAsync(asleep, token), Is.EqualTo(200), "and warm there now");

            var slept = Stopwatch.StartNew();
            List<Task<int>> calls = [];
            _nodes.Processes[asleep].Signal("STOP");
            try
            {
                foreach (var token in tokens)
                    await _nodes.RevokeAsync(0, token);
                calls.AddRange(tokens.Select(token => _nodes.AskAsync(asleep, token)));
                // As long as it may decide without a look at the ledger.
                await MiraProcess.WaitForAsync(() => Task.FromResult(slept.Elapsed > TimeSpan.FromSeconds(2.1)));
            }
            finally
            {
                _nodes.Processes[asleep].Signal("CONT");
            }

            calls.AddRange(tokens.Select(token => _nodes.AskAsync(asleep, token)));
            Assert.That(await Task.WhenAll(calls), Is.All.EqualTo(401));
        }
    }

    [Test]
    public async Task A_cache_write_that_was_held_back_revives_nothing()
    {
        var token = await _nodes.CreateAsync(0);
        var id = MiraHost.IdOf(token);
        byte[]? held = null;
        _nodes.RedisProxy.Inspect = (flow, bytes) =>
        {
            if (flow != Flow.ToServer || held is not null || !IsWriteOf(id, bytes.Span))
                return Passage.Pass;
            held = bytes.ToArray();
            return Passage.Cut;
        };
        Assert.That(await _nodes.AskAsync(1, token), Is.EqualTo(200));
        await Soak.UntilAsync(() => Volatile.Read(ref held) is not null);
        _nodes.RedisProxy.Inspect = null;

        await _nodes.RevokeAsync(0, token);
        await SendAsync(held!);
        Assert.That(await _nodes.Redis.AskAsync("KEYS", $"mira:key:*{id}"), Does.Contain(id), "it has arrived");

        var fresh = await _nodes.StartAnotherAsync();
        Assert.That(await _nodes.AskAsync(fresh, token), Is.EqualTo(401), "a node that was started after it");
        await MiraProcess.WaitForAsync(async () => (await _nodes.AskAllAsync(token)).All(status => status == 401));
        Assert.That(await _nodes.AskAllAsync(token), Is.All.EqualTo(401));
        await _nodes.WaitUntilHealthyAsync(1);
    }

    [Test]
    public async Task A_limit_is_exact_over_three_nodes()
    {
        const int limit = 100;
        Assert.That(await SpendAsync([0, 2, await _nodes.StartAnotherAsync()], CallsOfBurst, limit), Is.EqualTo((limit, CallsOfBurst - limit)));
    }

    [Test]
    public async Task A_limit_is_exact_although_a_node_has_another_time()
    {
        foreach (var off in Soak.IsAsked ? ["+600s", "-600s"] : (string[])["+600s"])
        {
            var third = await _nodes.StartAnotherAsync(ClockOff(off));
            await MiraProcess.WaitForAsync(async () =>
                (await _nodes.HealthAsync(third)).Json.GetProperty("details").GetProperty("clock_right").ToString() == "False");
            // The library that moves the clock slows the node down, which may then take too long to hear Redis. That is
            // counted, and done once more.
            for (var attempt = 1; ; attempt++)
            {
                await SpendAsync([0, 2, third], calls: 300, limit: 50);
                var alone = await DecidedAloneAsync([0, 2, third]);
                var counts = await SpendAsync([0, 2, third], CallsOfBurst, limit: 100);
                if (await DecidedAloneAsync([0, 2, third]) != alone && attempt < MaximumAttempts)
                    continue;

                Assert.That(counts, Is.EqualTo((100, CallsOfBurst - 100)));
                break;
            }
        }
    }

    [Test]
    public async Task A_limit_is_exact_while_the_machine_has_far_too_much_to_do()
    {
        const int limit = 100;
        // The proxy before the second node's Redis runs in this process, which is the busiest of all: such a Redis may
        // be too slow indeed.
        int[] nodes = [0, 2, await _nodes.StartAnotherAsync()];
        // The nodes are slow, not Redis: one that gets no processor for 150 ms does not answer, whatever the reason.
        _nodes.Redis.GoFirst();
        // The code of a new node is compiled at its first use.
        await SpendAsync(nodes, calls: 300, limit: 50);
        var alone = await DecidedAloneAsync(nodes);
        using var end = new CancellationTokenSource();
        foreach (var loop in Enumerable.Range(0, BusyLoops).Select(_ => new Thread(() => SpinUntil(end.Token)) { IsBackground = true }))
            loop.Start();
        List<(int Admitted, int Refused)> bursts = [];
        for (var round = Soak.IsAsked ? 300 : 4; round > 0; round--)
            bursts.Add(await SpendAsync(nodes, CallsOfBurst, limit, callers: 600));
        await end.CancelAsync();

        Soak.Print($"{bursts.Count} bursts, {bursts.Count(burst => burst.Admitted > limit)} over, {bursts.Count(burst => burst.Admitted < limit)} under, {await DecidedAloneAsync(nodes) - alone} calls decided alone");
        Assert.That(bursts, Is.All.EqualTo((limit, CallsOfBurst - limit)));
    }

    private async Task<(int Admitted, int Refused)> SpendAsync(int[] nodes, int calls, int limit, int callers = 12)
    {
        var token = await _nodes.CreateAsync(0, limit);
        var began = Stopwatch.StartNew();
        var next = 0;
        var answers = await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var own = new List<int>();
            while (Interlocked.Increment(ref next) <= calls)
                own.Add(await _nodes.AskAsync(nodes[caller % nodes.Length], token));
            return own;
        })));
        Assert.That(began.Elapsed, Is.LessThan(TimeSpan.FromMinutes(1)), "all in one window");
        return (answers.Sum(own => own.Count(status => status == 200)), answers.Sum(own => own.Count(status => status == 429)));
    }

    private async Task<double> DecidedAloneAsync(int[] nodes)
    {
        var total = 0.0;
        foreach (var node in nodes)
        {
            using var http = _nodes.Processes[node].Http();
            var line = (await http.GetStringAsync("/metrics")).Split('\n').Single(text => text.StartsWith("rate_limit_decided_alone_total", StringComparison.Ordinal));
            total += double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
        }

        return total;
    }

    private static void SpinUntil(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
            Thread.SpinWait(1_000);
    }

    // The clock of the wall alone: how time passes stays as it is.
    private static (string, string)[] ClockOff(string by)
    {
        var library = Directory.GetDirectories("/usr/lib").Select(folder => Path.Combine(folder, "faketime", "libfaketimeMT.so.1")).First(File.Exists);
        return [("LD_PRELOAD", library), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("DONT_FAKE_MONOTONIC", "1")];
    }

    private static bool IsWriteOf(string id, ReadOnlySpan<byte> bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        return text.Contains("mira:key:", StringComparison.Ordinal) && text.Contains(id, StringComparison.Ordinal) && text.Contains("absexp", StringComparison.Ordinal)
            && !text.Contains("MGET", StringComparison.Ordinal);
    }

    private async Task SendAsync(byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _nodes.Redis.Port);
        await client.GetStream().WriteAsync(bytes);
        Assert.That(await client.GetStream().ReadAsync(new byte[1_024]), Is.Positive);
    }
}
