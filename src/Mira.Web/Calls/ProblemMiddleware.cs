using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Calls;

/// <summary>Answers every error below it, and every bare error status, as a problem.</summary>
public sealed partial class ProblemMiddleware(RequestDelegate next, CurrentRequest current, ILogger<ProblemMiddleware> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be answered.
            return;
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            var problem = ProblemTable.Find(exception);
            if (problem is null)
            {
                current.Enter(context);
                LogUnexpected(exception);
            }

            Reset(context.Response);
            await ProblemAnswer.WriteAsync(context, problem ?? ProblemKind.InternalError);
            return;
        }

        var response = context.Response;
        if (!response.HasStarted && response.ContentType is null && response.ContentLength is null && ProblemTable.Find(response.StatusCode) is { } kind)
            await ProblemAnswer.WriteAsync(context, kind);
    }

    // What a half-made answer said of itself is not true of the problem; what every answer bears stays.
    private static void Reset(HttpResponse response)
    {
        response.Headers.ETag = default;
        response.Headers.Location = default;
        response.ContentLength = null;
        response.ContentType = null;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A request failed unexpectedly")]
    private partial void LogUnexpected(Exception exception);
}
