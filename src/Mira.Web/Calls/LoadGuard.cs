using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Calls;

/// <summary>
/// Sheds what is more than this node can do at once, so that the calls it has taken end, and health and metrics are
/// answered. A warm verification takes microseconds; calls pile up only when something behind them is slow.
/// </summary>
public sealed class LoadGuard(RequestDelegate next, RunningCalls running)
{
    /// <summary>Readings of the metrics at once. Each is made anew and may be read slowly.</summary>
    private const int Scrapes = 32;

    private static readonly Problem Shed = new(ProblemKind.Overloaded, RetryAfter: 1);
    private const string MetricsPath = "/metrics";
    private static readonly string[] Probes = ["/health", "/health/live", "/health/ready"];

    private readonly RunningCalls _scraping = new(new LoadGuardOptions(Scrapes));

    public Task InvokeAsync(HttpContext context)
    {
        // Nothing but what is public passes by: what lies below these addresses, or comes with another method, looks at
        // a key like any other call.
        if (HttpMethods.IsGet(context.Request.Method) && context.Request.Path.Value is { Length: >= 7 } path)
        {
            var asked = path.AsSpan().TrimEnd('/');
            foreach (var probe in Probes)
            {
                if (asked.Equals(probe, StringComparison.OrdinalIgnoreCase))
                    return next(context);
            }

            if (asked.Equals(MetricsPath, StringComparison.OrdinalIgnoreCase))
                return ServeAsync(context, _scraping);
        }

        return ServeAsync(context, running);
    }

    private Task ServeAsync(HttpContext context, RunningCalls places)
    {
        if (!places.TryEnter())
            return ProblemAnswer.WriteAsync(context, Shed);

        Task call;
        try
        {
            call = next(context);
        }
        catch
        {
            places.Leave();
            throw;
        }

        if (!call.IsCompleted)
            return AwaitAsync(call, places);

        places.Leave();
        return call;
    }

    private static async Task AwaitAsync(Task call, RunningCalls places)
    {
        try
        {
            await call;
        }
        finally
        {
            places.Leave();
        }
    }
}
