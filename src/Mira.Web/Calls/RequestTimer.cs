using Mira.Application.Background;

namespace Mira.Web.Calls;

/// <summary>Takes the time of each request, around everything else, and ends the quiet time of this node.</summary>
public sealed class RequestTimer(RequestDelegate next, RequestMetrics metrics, QuietTime quiet, TimeProvider clock)
{
    public Task InvokeAsync(HttpContext context)
    {
        quiet.NoteCall();
        if (!metrics.IsOn)
            return next(context);

        var started = clock.GetTimestamp();
        var call = next(context);
        if (!call.IsCompletedSuccessfully)
            return AwaitAsync(call, context, started);

        metrics.Record(context, clock.GetElapsedTime(started));
        return call;
    }

    private async Task AwaitAsync(Task call, HttpContext context, long started)
    {
        try
        {
            await call;
        }
        finally
        {
            metrics.Record(context, clock.GetElapsedTime(started));
        }
    }
}
