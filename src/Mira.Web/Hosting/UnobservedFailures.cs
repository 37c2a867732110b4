namespace Mira.Web.Hosting;

/// <summary>Logs what failed in a task that nobody waited for.</summary>
public sealed partial class UnobservedFailures(ILogger<UnobservedFailures> log) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        TaskScheduler.UnobservedTaskException += Note;
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        TaskScheduler.UnobservedTaskException -= Note;
        return Task.CompletedTask;
    }

    private void Note(object? sender, UnobservedTaskExceptionEventArgs failure)
    {
        LogFailure(failure.Exception);
        failure.SetObserved();
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A task failed that nobody waited for")]
    private partial void LogFailure(Exception exception);
}
