using Mira.Application.Settings;
using Mira.Web.Problems;

namespace Mira.Web.Hosting;

/// <summary>
/// Sheds what is more than this node can do at once, so that the calls it has taken end, and health and metrics are answered. A warm verification takes
/// microseconds; calls pile up only when something behind them is slow.
/// </summary>
public sealed class LoadGuard(RequestDelegate next, LoadGuardOptions options, RunningCalls running)
{
    private static readonly Problem Shed = new(ProblemKind.Overloaded, RetryAfter: 1);

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Request.Path.StartsWithSegments("/health") || context.Request.Path.StartsWithSegments(MetricsSetup.Path))
            return next(context);

        if (running.Enter() > options.ConcurrentCalls)
        {
            running.Leave();
            return ProblemAnswer.WriteAsync(context, Shed);
        }

        Task call;
        try
        {
            call = next(context);
        }
        catch
        {
            running.Leave();
            throw;
        }

        if (!call.IsCompleted)
            return AwaitAsync(call);

        running.Leave();
        return call;
    }

    private async Task AwaitAsync(Task call)
    {
        try
        {
            await call;
        }
        finally
        {
            running.Leave();
        }
    }
}

/// <summary><c>Mira__ConcurrentCalls</c>, 1 to 100 000: calls served at once, those for health and metrics aside; more are answered 503.</summary>
public sealed record LoadGuardOptions(int ConcurrentCalls)
{
    public static LoadGuardOptions Read(SettingReader settings) => new(settings.Number("Mira__ConcurrentCalls", null, 1_000, 1, 100_000));
}
