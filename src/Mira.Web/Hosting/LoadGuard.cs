using Mira.Application.Settings;
using Mira.Web.Problems;

namespace Mira.Web.Hosting;

/// <summary>
/// Sheds what is more than this node can do at once, so that the calls it has taken end, and health and metrics are answered. A warm verification takes
/// microseconds; calls pile up only when something behind them is slow.
/// </summary>
public sealed class LoadGuard(RequestDelegate next, LoadGuardOptions options)
{
    private static readonly Problem Shed = new(ProblemKind.Overloaded, RetryAfter: 1);

    private int _running;

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Request.Path.StartsWithSegments("/health") || context.Request.Path.StartsWithSegments(MetricsSetup.Path))
            return next(context);

        if (Interlocked.Increment(ref _running) > options.ConcurrentCalls)
        {
            Interlocked.Decrement(ref _running);
            return ProblemAnswer.WriteAsync(context, Shed);
        }

        Task running;
        try
        {
            running = next(context);
        }
        catch
        {
            Interlocked.Decrement(ref _running);
            throw;
        }

        if (!running.IsCompleted)
            return AwaitAsync(running);

        Interlocked.Decrement(ref _running);
        return running;
    }

    private async Task AwaitAsync(Task running)
    {
        try
        {
            await running;
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }
}

/// <summary><c>Mira__ConcurrentCalls</c>, 1 to 100 000: calls served at once, those for health and metrics aside; more are answered 503.</summary>
public sealed record LoadGuardOptions(int ConcurrentCalls)
{
    public static LoadGuardOptions Read(SettingReader settings) => new(settings.Number("Mira__ConcurrentCalls", null, 1_000, 1, 100_000));
}
