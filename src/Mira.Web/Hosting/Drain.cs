using System.Runtime.InteropServices;
using Mira.Application.Settings;

namespace Mira.Web.Hosting;

/// <summary>
/// Serves on for a while after the order to stop, with readiness already false, so that a load balancer has turned away before the last
/// connection is closed. An interrupt from the keyboard does not wait.
/// </summary>
public sealed class Drain(DrainOptions options, TimeProvider clock) : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _hurry = new();
    private PosixSignalRegistration? _interrupt;
    private bool _hasServed;

    public bool HasBegun { get; private set; }

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => _hurry.Cancel());
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        HasBegun = true;
        if (_hasServed)
            await Task.Delay(options.Duration, clock, _hurry.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _hasServed = true;
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        _interrupt?.Dispose();
        _hurry.Dispose();
    }
}

/// <summary><c>MIRA_DRAIN_SECONDS</c>, 0 to 300.</summary>
public sealed record DrainOptions(TimeSpan Duration)
{
    /// <summary>How long the host waits for running calls after the drain, and another process for this one's lock.</summary>
    public static readonly TimeSpan Rest = TimeSpan.FromSeconds(20);

    public static DrainOptions Read(SettingReader settings) =>
        new(TimeSpan.FromSeconds(settings.Number("MIRA_DRAIN_SECONDS", "Mira:DrainSeconds", 5, 0, 300)));
}
