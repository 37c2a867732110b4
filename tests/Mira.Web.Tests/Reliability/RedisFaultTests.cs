using System.Diagnostics;
using Mira.Client;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>Whatever becomes of Redis, no request fails. Times are printed; nothing is asserted of them.</summary>
internal sealed class RedisFaultTests
{
    private const int Callers = 6;

    /// <summary>More than memory holds, so that Redis and the store are asked all the time.</summary>
    private const int Keys = 150;

    private RedisServer _server = null!;
    private MiraHost _host = null!;
    private HttpClient[] _clients = [];

    [TearDown]
    public async Task TearDown()
    {
        await _host.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task Absent_at_the_start()
    {
        await StartAsync(RedisServer.Absent());
        await ExpectHealthAsync("degraded", redis: "False");
        await CallAsync("absent");
        await ComeBackAsync(_server.StartAgainAsync);
    }

    [Test]
    public async Task Killed_under_load_and_back()
    {
        await StartAsync(await RedisServer.StartAsync());
        await BreakAsync(_server.Kill, "killed");
        await ComeBackAsync(_server.StartAgainAsync);
    }

    [Test]
    public async Task Standing_still_under_load_and_back()
    {
        await StartAsync(await RedisServer.StartAsync());
        await BreakAsync(_server.Pause, "stalled");
        await ComeBackAsync(() =>
        {
            _server.Resume();
            return Task.CompletedTask;
        });
    }

    [Test]
    public async Task Full_under_load_and_back()
    {
        await StartAsync(await RedisServer.StartAsync("--maxmemory-policy", "noeviction"));
        await BreakAsync(() => _server.AskAsync("CONFIG", "SET", "maxmemory", "1").Wait(), "full");
        await ComeBackAsync(() => _server.AskAsync("CONFIG", "SET", "maxmemory", "0"));
    }

    [Test]
    public async Task Made_a_replica_under_load_and_back()
    {
        await StartAsync(await RedisServer.StartAsync());
        await BreakAsync(() => _server.AskAsync("REPLICAOF", "127.0.0.1", "1").Wait(), "replica");
        await ComeBackAsync(() => _server.AskAsync("REPLICAOF", "NO", "ONE"));
    }

    [Test]
    public async Task A_wrong_password()
    {
        await StartAsync(await RedisServer.StartAsync("--requirepass", "right"), ("REDIS_PASSWORD", "hunter2"));
        await ExpectHealthAsync("degraded", redis: "False");
        await CallAsync("wrong password");
        Assert.That(_host.Log, Does.Not.Contain("hunter2"));
    }

    [Test]
    public async Task What_memory_has_lost_Redis_still_has()
    {
        await StartAsync(await RedisServer.StartAsync());
        await ExpectHealthAsync("healthy", redis: "True");
        // Of each round more comes from Redis, as soon as what the one before read has been written there.
        await MiraProcess.WaitForAsync(async () =>
        {
            await CallAsync("warm");
            return (await StatsAsync()).Redis.Hits > Keys;
        });

        var stats = await StatsAsync();
        Assert.That((stats.Redis.Enabled, stats.Redis.Available), Is.EqualTo((true, true)));
        Assert.That(stats.HitRate, Is.EqualTo((stats.Memory.Hits + stats.Redis.Hits) / (double)(stats.Memory.Hits + stats.Memory.Misses)).Within(0.1));
        Assert.That(stats.Redis.HitRate, Is.EqualTo(stats.Redis.Hits / (double)(stats.Redis.Hits + stats.Redis.Misses)).Within(0.1));
    }

    private async Task StartAsync(RedisServer server, params (string, string)[] settings)
    {
        _server = server;
        _host = MiraHost.Start(settings:
        [
            ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{server.Port}"), ("Mira:Verification:CacheSize", "100"), ("RATE_LIMIT_VIEWER", "100000"), .. settings,
        ]);
        // Else the first calls are decided alone, which shows for a minute.
        if (server.IsRunning && settings.Length == 0)
            await ExpectHealthAsync("healthy", redis: "True");
        _clients = [.. await Task.WhenAll(Enumerable.Range(0, Keys).Select(async _ => _host.Http(await _host.NewKeyAsync("viewer"))))];
    }

    private async Task BreakAsync(Action breaks, string what)
    {
        await ExpectHealthAsync("healthy", redis: "True");
        await CallAsync("before");
        var calling = CallAsync(what);
        breaks();
        await calling;
        await ExpectHealthAsync("degraded", redis: "False");
        await CallAsync($"{what}, known");
    }

    private async Task ComeBackAsync(Func<Task> repair)
    {
        await repair();
        var began = Stopwatch.GetTimestamp();
        await MiraProcess.WaitForAsync(async () => IsBack(await _host.Http(_host.Admin).CallAsync("GET", "/health")));
        TestContext.Out.WriteLine($"back after {Stopwatch.GetElapsedTime(began).TotalMilliseconds:F0} ms");
        await CallAsync("back");
    }

    // Calls that were decided alone, if there were any, show for a minute after.
    private static bool IsBack(Reply health) =>
        health.Json.GetProperty("details") is var details && details.GetProperty("redis").ToString() == "True"
        && (health.Field("status") == "healthy" || details.GetProperty("limits_shared").ToString() == "False");

    private async Task CallAsync(string when)
    {
        var times = await Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
        {
            var own = new List<double>();
            for (var i = caller; i < 4 * Keys; i += Callers)
            {
                var began = Stopwatch.GetTimestamp();
                var reply = await _clients[i % Keys].ValidateAsync();
                own.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                Assert.That(reply.Verdict, Is.EqualTo("200"), when);
            }

            return own;
        }));
        double[] sorted = [.. times.SelectMany(own => own).Order()];
        TestContext.Out.WriteLine($"{when}: {sorted.Length} calls, 0 failed, median {sorted[sorted.Length / 2]:F1} ms, 99 % {sorted[sorted.Length * 99 / 100]:F1} ms, longest {sorted[^1]:F1} ms");
    }

    private async Task ExpectHealthAsync(string status, string redis)
    {
        await MiraProcess.WaitForAsync(async () =>
        {
            var health = await _host.Http(_host.Admin).CallAsync("GET", "/health");
            return health.Field("status") == status && health.Json.GetProperty("details").GetProperty("redis").ToString() == redis;
        });
        Assert.That((await _host.Http().CallAsync("GET", "/health/ready")).Verdict, Is.EqualTo("200"), "this node can decide without it");
    }

    private Task<CacheStats> StatsAsync() => _host.Client().GetCacheStatsAsync();
}
