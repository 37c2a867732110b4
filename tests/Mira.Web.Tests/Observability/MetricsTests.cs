using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Observability;

/// <summary>What <c>/metrics</c> says, by exact name.</summary>
internal sealed class MetricsTests
{
    private static readonly string[] KnownToThePlatform =
        ["dotnet_assembly_count", "dotnet_process_cpu_count", "dotnet_timer_count"];

    [Test]
    public async Task Every_figure_is_there_by_its_name_and_says_what_happened()
    {
        await using var traffic = await Traffic.StartAsync();
        using var http = traffic.Node.Http();
        await MiraProcess.WaitForAsync(async () => (await Scrape.OfAsync(http))["redis_writable{use=\"cache\"}"] == 1);
        for (var round = 0; round < 8; round++)
            await traffic.CallAsync();

        var scrape = await Scrape.OfAsync(http);
        Assert.Multiple(() =>
        {
            Assert.That(scrape["api_key_validations_total{result=\"valid\"}"], Is.GreaterThanOrEqualTo(8));
            Assert.That(scrape["api_key_validations_total{result=\"invalid_key\"}"], Is.EqualTo(8));
            Assert.That(scrape["api_key_validations_total{result=\"key_revoked\"}"], Is.EqualTo(8));
            Assert.That(scrape["api_key_validation_duration_seconds_count"], Is.EqualTo(scrape.Sum("api_key_validations_total")));
            Assert.That(scrape.Series, Contains.Key("api_key_validation_duration_seconds_bucket{le=\"1E-05\"}"), "from 10 µs");
            Assert.That(scrape["cache_hit_rate"], Is.GreaterThan(0).And.LessThanOrEqualTo(1));
            Assert.That(scrape["cache_requests_total{layer=\"memory\",result=\"hit\"}"], Is.Positive);
            Assert.That(scrape["rate_limit_rejections_total{role=\"viewer\"}"], Is.InRange(1, 7), "one a minute is let in");
            Assert.That(scrape["rate_limit_rejections_total{role=\"admin\"}"], Is.Zero);
            Assert.That(scrape["failed_authentications_total{reason=\"key_revoked\"}"], Is.EqualTo(8));
            Assert.That(scrape["failed_authentications_total{reason=\"ip_not_allowed\"}"], Is.EqualTo(8));
            Assert.That(scrape["failed_authentications_total{reason=\"credentials_in_query\"}"], Is.EqualTo(8));
            Assert.That(scrape["failed_authentications_total{reason=\"missing_credentials\"}"], Is.EqualTo(16));
            Assert.That(scrape["failed_authentications_total{reason=\"too_many_failures\"}"], Is.InRange(1, 3), "five a minute are told more");
            Assert.That(scrape["failed_authentications_total{reason=\"invalid_key\"}"] + scrape["failed_authentications_total{reason=\"too_many_failures\"}"], Is.EqualTo(8));
            Assert.That(scrape["ledger_position"], Is.EqualTo(scrape.Sum("ledger_events_total")));
            Assert.That(scrape["ledger_events_total{type=\"key.rotated\"}"], Is.EqualTo(8));
            Assert.That(scrape["ledger_staleness_seconds"], Is.LessThan(10));
            Assert.That(scrape["ledger_last_poll_timestamp_seconds"], Is.EqualTo(DateTimeOffset.UtcNow.ToUnixTimeSeconds()).Within(60));
            Assert.That(scrape["ledger_chain_broken"], Is.Zero);
            Assert.That(scrape["revocation_lag_seconds_count"], Is.EqualTo(scrape.Sum("ledger_events_total", "type=\"key.")));
            Assert.That(scrape["revocation_lag_seconds_sum"], Is.Positive.And.LessThan(60));
            Assert.That(scrape["redis_up{use=\"limits\"}"], Is.EqualTo(1));
            Assert.That(scrape.Series, Contains.Key("redis_trips_total{use=\"cache\"}").And.ContainKey("redis_trips_total{use=\"limits\"}"));
            Assert.That(scrape["store_up"] + scrape["store_writable"] + scrape["store_clock_right"] + scrape["service_ready"], Is.EqualTo(4));
            Assert.That(scrape["store_errors_total{operation=\"follow\"}"] + scrape["store_errors_total{operation=\"look_up\"}"] + scrape["store_errors_total{operation=\"write\"}"], Is.Zero);
            Assert.That(scrape.Series, Contains.Key("rate_limiter_degraded").And.ContainKey("audit_events_pending").And.ContainKey("key_usage_pending"));
            Assert.That(scrape["keys_expiring{within=\"14d\"}"], Is.Zero, "counted at the start");
            Assert.That(scrape["request_log_dropped_total"], Is.Zero);
            Assert.That(scrape.Sum("http_server_request_duration_seconds_count", "http_route=\"/api/auth/validate\""), Is.EqualTo(56));
            Assert.That(scrape.Names, Has.Some.StartsWith("kestrel_").And.Some.StartsWith("aspnetcore_routing_").And.Some.StartsWith("dotnet_gc_"));
        });
    }

    [Test]
    public async Task Promtool_finds_nothing_but_the_runtimes_own_names()
    {
        await using var traffic = await Traffic.StartAsync();
        await traffic.CallAsync();
        using var http = traffic.Node.Http();
        var (_, output) = await Promtool.RunAsync("/", (await Scrape.OfAsync(http)).Text, "check", "metrics");
        Assert.That(
            output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0]), Is.EquivalentTo(KnownToThePlatform), output);
    }

    // Every kind of call once before: what may be new after it is only what callers choose freely.
    [Test]
    public async Task Ten_thousand_random_paths_methods_and_ids_make_next_to_no_series()
    {
        await using var traffic = await Traffic.StartAsync();
        using var http = traffic.Node.Http();
        var random = new Random(4711);
        using var admin = traffic.Node.Http(traffic.Admin);
        foreach (var caller in new[] { http, admin })
        {
            foreach (var method in RandomCall.Methods)
            {
                foreach (var shape in RandomCall.Shapes)
                    await caller.CallAsync(method, string.Format(null, shape, "a", "b"));
            }
        }

        var before = (await Scrape.OfAsync(http)).Series.Keys.ToHashSet();
        await Parallel.ForAsync(0, 10_000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, _) =>
        {
            RandomCall call;
            lock (random)
                call = RandomCall.Next(random);
            await (random.Next(2) == 0 ? http : admin).CallAsync(call.Method, call.Path, null, "application/json", ("User-Agent", call.Agent), ("X-Correlation-ID", call.Agent));
        });

        var after = (await Scrape.OfAsync(http)).Series.Keys.ToHashSet();
        Assert.That(after.Except(before).ToList(), Has.Count.LessThan(20), string.Join('\n', after.Except(before)));
        Assert.That(after, Has.Count.LessThan(700), "all there are");
    }

    [Test]
    public async Task An_outage_of_Redis_shows_in_its_figures_and_the_limiters()
    {
        using var folder = new TestFolder();
        await using var redis = await RedisServer.StartAsync();
        await using var mira = MiraProcess.Start(folder, ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{redis.Port}"));
        await mira.WaitUntilReadyAsync();
        using var http = mira.Http(folder.Admin);
        await MiraProcess.WaitForAsync(async () => (await Scrape.OfAsync(http))["redis_writable{use=\"limits\"}"] == 1);

        redis.Kill();
        await MiraProcess.WaitForAsync(async () =>
        {
            await http.ValidateAsync();
            var scrape = await Scrape.OfAsync(http);
            return scrape["redis_up{use=\"limits\"}"] == 0 && scrape["redis_up{use=\"cache\"}"] == 0 && scrape["rate_limiter_degraded"] == 1;
        });

        await redis.StartAgainAsync();
        await MiraProcess.WaitForAsync(async () => (await Scrape.OfAsync(http)) is var scrape && scrape["redis_writable{use=\"limits\"}"] == 1 && scrape["rate_limiter_degraded"] == 0);
    }

    [Test]
    public async Task A_node_that_is_about_to_stop_is_not_ready()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("MIRA_DRAIN_SECONDS", "30"));
        await mira.WaitUntilReadyAsync();
        using var http = mira.Http();
        Assert.That((await Scrape.OfAsync(http))["service_ready"], Is.EqualTo(1));
        mira.Signal("TERM");
        await MiraProcess.WaitForAsync(async () => (await Scrape.OfAsync(http))["service_ready"] == 0);
    }

    private sealed record RandomCall(string Method, string Path, string Agent)
    {
        public static readonly string[] Methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"];

        /// <summary>Every route there is, and none.</summary>
        public static readonly string[] Shapes =
        [
            "/{0}", "/{0}/{1}", "/api/{0}", "/api/keys", "/api/keys/{0}", "/api/keys/{0}/rotate", "/api/keys/{0}/{1}", "/api/keys/stats/cache", "/api/keys/stats/{0}",
            "/api/keys/verify", "/api/auth/validate", "/api/auth/forward/{0}/{1}", "/api/audit", "/api/audit/{0}", "/api/keys?q={0}", "/api/keys?limit={0}&cursor={1}", "/health/{0}",
            "/health", "/health/live", "/health/ready", "/swagger/v1/{0}", "/metrics/{0}",
        ];

        public static RandomCall Next(Random random)
        {
            var method = random.Next(3) == 0 ? Word(random) : Methods[random.Next(Methods.Length)];
            return new RandomCall(method, string.Format(null, Shapes[random.Next(Shapes.Length)], Word(random), Word(random)), Word(random));
        }

        private static string Word(Random random) => new([.. Enumerable.Range(0, random.Next(1, 24)).Select(_ => (char)('A' + random.Next(26)))]);
    }
}
