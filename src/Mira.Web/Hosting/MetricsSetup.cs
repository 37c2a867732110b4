using Mira.Application.Metrics;
using OpenTelemetry.Metrics;

namespace Mira.Web.Hosting;

/// <summary>The service's own metrics, the platform's and the runtime's, as Prometheus text at <c>/metrics</c>.</summary>
public static class MetricsSetup
{
    /// <summary>Seconds: a warm decision takes microseconds, one that waits for the store milliseconds.</summary>
    private static readonly double[] DurationBounds = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

    public static void AddMiraMetrics(this IServiceCollection services) => services.AddOpenTelemetry().WithMetrics(metrics => metrics
        .AddMeter(ServiceMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
        .AddView(ServiceMetrics.ValidationDuration, new ExplicitBucketHistogramConfiguration { Boundaries = DurationBounds })
        .AddPrometheusExporter());

    public static void MapMiraMetrics(this IEndpointRouteBuilder app) => app.MapPrometheusScrapingEndpoint("/metrics").AllowAnonymous();
}
