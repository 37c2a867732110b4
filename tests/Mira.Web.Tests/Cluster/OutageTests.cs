using System.Diagnostics;
using System.Text;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Reliability;

namespace Mira.Web.Tests.Cluster;

/// <summary>
/// What three nodes do while Redis, the announcements or PostgreSQL are away, and that all is well by itself
/// afterwards.
/// </summary>
internal sealed class OutageTests
{
    private static readonly TimeSpan MaxStaleness = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long ago a node may have looked at the ledger when PostgreSQL went: its poll, on a busy machine.
    /// </summary>
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(2);

    private static readonly byte[] Listen = Encoding.ASCII.GetBytes("LISTEN mira_ledger");

    private ThreeNodes _nodes = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _nodes = await ThreeNodes.StartAsync(behindProxy: true, ("Mira__Verification__MaxStaleness", MaxStaleness.ToString()));

    [OneTimeTearDown]
    public async Task StopAsync() => await _nodes.DisposeAsync();

    [TearDown]
    public async Task ExpectRecoveryAsync()
    {
        for (var node = 0; node < ThreeNodes.Count; node++)
            await _nodes.WaitUntilHealthyAsync(node);
    }

    [Test]
    public async Task Redis_may_go_and_come_back_under_load_and_no_call_fails()
    {
        await using var load = Load.Start(_nodes, await _nodes.CreateAsync(0), callers: 4);
        var phases = new List<(string Name, long Began)>();
        await PhaseAsync("all well", () => { });
        await PhaseAsync("killed", _nodes.Redis.Kill);
        var lags = await Revocation.MeasureAsync(_nodes, Soak.RoundsOf(6));
        await _nodes.Redis.StartAgainAsync();
        await PhaseAsync("started again", () => { });
        await PhaseAsync("standing still", _nodes.Redis.Pause);
        await PhaseAsync("going on", _nodes.Redis.Resume);
        phases.Add(("killed and started again", Stopwatch.GetTimestamp()));
        _nodes.Redis.Kill();
        await _nodes.Redis.StartAgainAsync();
        await load.GoOnAsync(1_000);

        var calls = await load.StopAsync();
        phases.Add(("end", long.MaxValue));
        foreach (var (phase, next) in phases.Zip(phases.Skip(1)))
            Soak.Print($"Redis {phase.Name}: calls {Call.Figures([.. calls.Where(call => call.Began >= phase.Began && call.Began < next.Began)])}");
        Soak.Print($"lags while Redis was killed, {Call.Figures(lags)}");
        Assert.That(calls.Where(call => call.Status != 200), Is.Empty);
        Assert.That(lags.Max(), Is.LessThan(ThreeNodeTests.Bound.TotalMilliseconds));

        async Task PhaseAsync(string name, Action begin)
        {
            phases.Add((name, Stopwatch.GetTimestamp()));
            begin();
            await load.GoOnAsync(1_000);
        }
    }

    [Test]
    public async Task Without_announcements_the_poll_finds_a_revocation()
    {
        // Nobody gets to listen again.
        _nodes.PostgresProxy.Inspect = (flow, bytes) => flow == Flow.ToServer && bytes.Span.IndexOf(Listen) >= 0 ? Passage.Cut : Passage.Pass;
        try
        {
            _nodes.PostgresProxy.Cut();
            await MiraProcess.WaitForAsync(async () => await ListenersAsync() == 0);
            for (var node = 0; node < ThreeNodes.Count; node++)
                await _nodes.WaitUntilHealthyAsync(node);

            var lags = await Revocation.MeasureAsync(_nodes, Soak.RoundsOf(6));

            Assert.That(await ListenersAsync(), Is.Zero);
            Soak.Print($"lags without announcements, {Call.Figures(lags)}");
            Assert.That(lags.Max(), Is.LessThan(ThreeNodeTests.Bound.TotalMilliseconds));
        }
        finally
        {
            _nodes.PostgresProxy.Inspect = null;
        }

        await MiraProcess.WaitForAsync(async () => await ListenersAsync() == ThreeNodes.Count);
    }

    [TestCase(false, TestName = "PostgreSQL_gone_verification_goes_on_until_what_is_known_is_too_old(stopped)")]
    [TestCase(true, TestName = "PostgreSQL_gone_verification_goes_on_until_what_is_known_is_too_old(standing still)")]
    public async Task PostgreSQL_gone(bool isFrozen)
    {
        var good = await _nodes.CreateAsync(0);
        var revoked = await _nodes.CreateAsync(0);
        await _nodes.RevokeAsync(0, revoked);
        await MiraProcess.WaitForAsync(async () => (await _nodes.AskAllAsync(revoked)).All(status => status == 401));
        await _nodes.AskAllAsync(good);

        await using var load = Load.Start(_nodes, good, callers: 2);
        await using var refusedLoad = Load.Start(_nodes, revoked, callers: 1);
        var going = Stopwatch.GetTimestamp();
        await (isFrozen ? _nodes.Postgres.PauseAsync() : _nodes.Postgres.StopAsync());
        var gone = Stopwatch.GetTimestamp();
        IReadOnlyList<Call> calls, refusals;
        try
        {
            if (!isFrozen)
                await WaitForHealthAsync("degraded", ready: true);
            await WaitForHealthAsync("unhealthy", ready: false);
            await load.GoOnAsync(200);
            for (var node = 0; node < ThreeNodes.Count; node++)
            {
                using var http = _nodes.Processes[node].Http(good);
                var answer = await http.ValidateAsync();
                Assert.That(answer.Verdict, Is.EqualTo("503 store_unavailable"));
                Assert.That(answer.Header("Retry-After"), Does.Match("^[1-9][0-9]*$"));
            }

            (calls, refusals) = (await load.StopAsync(), await refusedLoad.StopAsync());
        }
        finally
        {
            await (isFrozen ? _nodes.Postgres.ResumeAsync() : _nodes.Postgres.StartAsync());
        }

        var lastIn = calls.Where(call => call.Status == 200).Max(call => Stopwatch.GetElapsedTime(gone, call.Began).TotalSeconds);
        Soak.Print($"the last call let in began {lastIn:F1} s after PostgreSQL was gone; all calls, {Call.Figures(calls)}");
        Assert.That(calls.Concat(refusals).Where(call => call.Status is not (200 or 401 or 503)), Is.Empty);
        Assert.That(calls.Where(call => call.Status == 401).Concat(refusals.Where(call => call.Status == 200)), Is.Empty);
        Assert.That(calls.Where(call => call.Status != 200 && Stopwatch.GetElapsedTime(going, call.Ended) < MaxStaleness - Poll), Is.Empty, "refused too early");
        Assert.That(calls.Where(call => call.Status == 200 && Stopwatch.GetElapsedTime(gone, call.Began) > MaxStaleness), Is.Empty, "let in too late");
        Assert.That(calls.Count(call => call.Status == 503), Is.Positive);

        await MiraProcess.WaitForAsync(async () => (await _nodes.AskAllAsync(good)).All(status => status == 200));
        Assert.That(await _nodes.AskAllAsync(revoked), Is.All.EqualTo(401));
    }

    private async Task WaitForHealthAsync(string status, bool ready)
    {
        for (var node = 0; node < ThreeNodes.Count; node++)
        {
            using var http = _nodes.Processes[node].Http();
            await MiraProcess.WaitForAsync(async () =>
            {
                var answer = await http.CallAsync("GET", "/health/ready");
                return answer.Field("status") == status && answer.Verdict == (ready ? "200" : "503");
            });
        }
    }

    private async Task<long> ListenersAsync()
    {
        await using var connection = await _nodes.Postgres.ConnectAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'";
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
