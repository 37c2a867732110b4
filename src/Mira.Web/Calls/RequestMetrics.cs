using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http.Metadata;
using Mira.Application.Metrics;

namespace Mira.Web.Calls;

/// <summary>
/// The platform's figures of requests, under its names and with those of its labels that no caller chooses. Its own
/// make all labels for each call, most of them to be dropped again, and cost a verification a twentieth of all it
/// takes.
/// </summary>
public sealed class RequestMetrics : IDisposable
{
    public const string Duration = "http.server.request.duration";

    private const string Status = "http.response.status_code";
    private const string Route = "http.route";

    private static readonly object[] Statuses = [.. Enumerable.Range(0, 600).Select(status => (object)status)];

    private readonly Meter _meter = new(ServiceMetrics.MeterName);
    private readonly Histogram<double> _duration;
    private readonly ShardedCounter _matched = new();
    private readonly ShardedCounter _unmatched = new();

    public RequestMetrics()
    {
        _duration = _meter.CreateHistogram<double>(Duration, Instruments.Seconds, "Duration of HTTP server requests.");
        new Instruments(_meter).Counter(
            "aspnetcore.routing.match_attempts", "Requests that found an endpoint, and those whose address is none's", "aspnetcore.routing.match_status",
            [("success", () => _matched.Value), ("failure", () => _unmatched.Value)]);
    }

    /// <summary>Does anybody listen?</summary>
    public bool IsOn => _duration.Enabled;

    public void Record(HttpContext context, TimeSpan elapsed)
    {
        var code = context.Response.StatusCode;
        var status = new KeyValuePair<string, object?>(Status, (uint)code < (uint)Statuses.Length ? Statuses[code] : code);
        var endpoint = context.GetEndpoint();
        if (endpoint is not null)
            _matched.Increment();
        else if (code == StatusCodes.Status404NotFound)
            _unmatched.Increment();

        if (endpoint?.Metadata.GetMetadata<IRouteDiagnosticsMetadata>()?.Route is { } route)
            _duration.Record(elapsed.TotalSeconds, status, new KeyValuePair<string, object?>(Route, route.Length == 0 ? "/" : route));
        else
            _duration.Record(elapsed.TotalSeconds, status);
    }

    public void Dispose() => _meter.Dispose();
}
