using System.Diagnostics;
using Mira.Application.Metrics;
using Mira.Web.Authentication;
using Mira.Web.Calls;
using Mira.Web.Requests;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Mira.Web.Hosting;

/// <summary>
/// The service's own metrics, the platform's and the runtime's, as Prometheus text at <c>/metrics</c>, and with the
/// traces to an OTLP receiver when one is named. What callers choose freely (methods, paths, versions of the protocol)
/// is no label, so that none of them can make series.
/// </summary>
public static class MetricsSetup
{
    public const string Path = "/metrics";

    /// <summary>Seconds: a warm decision takes microseconds, one that waits for the store milliseconds.</summary>
    private static readonly double[] DurationBounds = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

    /// <summary>What a caller chooses and a span shows.</summary>
    private static readonly string[] Chosen = ["url.path", "server.address", "http.request.method_original"];

    private static readonly double[] RequestBounds = [0.001, 0.0025, 0.01, 0.05, 0.25, 1];
    private static readonly double[] LagBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];
    private static readonly double[] ConnectionBounds = [0.1, 1, 10, 60, 600];

    public static void AddMiraMetrics(this IServiceCollection services, OtlpOptions otlp)
    {
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.Clear().AddService("mira").AddTelemetrySdk().AddEnvironmentVariableDetector())
            .WithMetrics(metrics => Collect(metrics).AddPrometheusExporter(prometheus =>
            {
                prometheus.ScopeInfoEnabled = false;
                prometheus.TargetInfoEnabled = false;
                // A reading shows all that happened before it.
                prometheus.ScrapeResponseCacheDurationMilliseconds = 0;
            }));
        if (otlp.IsOn)
            telemetry.WithMetrics(metrics => metrics.AddOtlpExporter()).WithTracing(Trace);
    }

    /// <summary>Puts up all figures, which nobody would otherwise have made before the first call.</summary>
    public static void MapMiraMetrics(this WebApplication app)
    {
        app.Services.GetRequiredService<ServiceMetrics>();
        app.MapPrometheusScrapingEndpoint(Path).AllowAnonymous();
    }

    private static MeterProviderBuilder Collect(MeterProviderBuilder metrics) => metrics
        .AddMeter(ServiceMetrics.MeterName, "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
        .AddView(ServiceMetrics.ValidationDuration, new ExplicitBucketHistogramConfiguration { Boundaries = DurationBounds })
        .AddView(LedgerCounters.Lag, new ExplicitBucketHistogramConfiguration { Boundaries = LagBounds })
        .AddView(RequestMetrics.Duration, new ExplicitBucketHistogramConfiguration { Boundaries = RequestBounds })
        .AddView("kestrel.connection.duration", new ExplicitBucketHistogramConfiguration { Boundaries = ConnectionBounds, TagKeys = [] })
        .AddView("kestrel.tls_handshake.duration", new ExplicitBucketHistogramConfiguration { Boundaries = ConnectionBounds, TagKeys = [] })
        .AddView(instrument => instrument.Meter.Name == "Microsoft.AspNetCore.Server.Kestrel" && !instrument.Name.EndsWith(".duration", StringComparison.Ordinal)
            ? new MetricStreamConfiguration { TagKeys = [] }
            : null);

    private static void Trace(TracerProviderBuilder traces) => traces
        .AddAspNetCoreInstrumentation(requests =>
        {
            requests.Filter = context => !context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments(Path);
            requests.EnrichWithHttpRequest = Clean;
            requests.EnrichWithHttpResponse = (activity, response) => Describe(activity, response.HttpContext);
        })
        .AddOtlpExporter();

    // A span leaves the machine, and what a caller may have put a credential into stays here.
    private static void Clean(Activity activity, HttpRequest request)
    {
        foreach (var tag in Chosen)
        {
            if (activity.GetTagItem(tag) is string text)
                activity.SetTag(tag, TokenMask.Apply(text));
        }

        activity.SetTag("url.query", null);
        activity.SetTag("user_agent.original", null);
        activity.TraceStateString = null;
    }

    private static void Describe(Activity activity, HttpContext context)
    {
        activity.SetTag("mira.correlation_id", CorrelationMiddleware.IdOf(context));
        if (context.User is ApiKeyPrincipal caller)
            activity.SetTag("mira.key_id", caller.Key.Id.Value);
    }
}
