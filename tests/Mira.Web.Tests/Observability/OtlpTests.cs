using System.Diagnostics;
using System.Text;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Observability;

/// <summary>Traces and metrics to a collector, when one is named and only then.</summary>
internal sealed class OtlpTests
{
    private const string Canary = "zzcanaryzz";

    // A histogram is sent from its first record on, which an earlier message need not hold yet.
    private static readonly string[] Figures = ["api_key_validation_duration", "cache_hit_rate", "http.server.request.duration", "ledger_position", "revocation_lag"];

    [Test]
    public async Task Spans_and_metrics_reach_the_receiver_and_agree_with_problems_and_logs()
    {
        using var receiver = OtlpReceiver.Start();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(
            folder, ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Address.ToString()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"), ("LOG_REQUESTS", "true"));
        await mira.WaitUntilReadyAsync();
        using var admin = mira.Http(folder.Admin);
        using var anonymous = mira.Http();
        var parent = ActivityTraceId.CreateRandom().ToHexString();
        await admin.ValidateAsync();
        var refused = await anonymous.CallAsync("GET", "/api/keys", null, "application/json", ("traceparent", $"00-{parent}-00f067aa0ba902b7-01"), ("tracestate", $"a={Canary}"));
        await anonymous.CallAsync("GET", $"/api/auth/validate?api_key={folder.Admin}&note={Canary}");
        await admin.CallAsync("GET", $"/api/keys/{folder.Admin}");
        await anonymous.CallAsync(folder.Admin, $"/{folder.Admin}/x", null, "application/json", ("Host", folder.Admin));
        await admin.CallAsync("GET", "/api/auth/validate", null, "application/json", ("User-Agent", folder.Admin), ("X-API-Key", folder.Admin), ("baggage", $"a={Canary}"));
        Assert.That(refused.Field("trace_id"), Is.EqualTo(parent), "the caller's trace goes on");

        await MiraProcess.WaitForAsync(() => Task.FromResult(receiver.Spans.Count >= 6 && Figures.All(receiver.Metrics.Contains)));
        var spans = receiver.Spans;
        Assert.Multiple(() =>
        {
            Assert.That(spans.Select(span => span.Name), Has.Some.EqualTo("GET /api/auth/validate").And.Some.EqualTo("GET api/keys").And.Some.EqualTo("GET api/keys/{key_id}"));
            Assert.That(spans.Select(span => span.Name), Has.None.Contains("health"));
            Assert.That(spans.Where(span => span.TraceId == parent).Select(span => span.Attributes["http.response.status_code"]), Is.EqualTo(new[] { "401" }));
            Assert.That(spans.Select(span => span.Attributes.GetValueOrDefault("mira.key_id")), Has.Some.EqualTo(MiraHost.IdOf(folder.Admin)));
            Assert.That(receiver.Metrics, Is.SupersetOf(Figures));
            Assert.That(mira.Output, Does.Contain($"\"trace_id\":\"{parent}\""));
        });

        var detector = new LeakDetector();
        detector.WatchToken(folder.Admin);
        detector.Watch(Canary);
        Assert.That(detector.Find(receiver.Bodies.Select(body => ("a message to the receiver", body))), Is.Empty);
        Assert.That(detector.Find("the log", mira.Output), Is.Empty);
        Assert.That(Encoding.UTF8.GetString([.. receiver.Bodies.SelectMany(body => body)]), Does.Contain("validate"), "it can be found");
    }

    [Test]
    public async Task A_receiver_that_is_away_holds_nobody_up()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://127.0.0.1:{FreePort.Find()}"), ("OTEL_METRIC_EXPORT_INTERVAL", "100"));
        await mira.WaitUntilReadyAsync();
        using var admin = mira.Http(folder.Admin);
        for (var call = 0; call < 100; call++)
            Assert.That((await admin.ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That(mira.Error, Is.Empty);
    }

    [Test]
    public async Task Nothing_is_traced_unless_a_receiver_is_named()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_REQUESTS", "true"));
        await mira.WaitUntilReadyAsync();
        using var anonymous = mira.Http();
        var refused = await anonymous.CallAsync("GET", "/api/keys", null, "application/json", ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        Assert.That(refused.Field("trace_id"), Is.EqualTo(refused.Header("X-Correlation-ID")));
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        Assert.That(mira.Output, Does.Contain("GET /api/keys 401").And.Contain($"\"trace_id\":\"{refused.Field("trace_id")}\"").And.Not.Contain("4bf92f3577b34da6a3ce929d0e0e4736"));
    }
}
