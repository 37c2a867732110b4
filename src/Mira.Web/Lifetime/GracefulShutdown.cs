using System.Runtime.InteropServices;
using Mira.Application.Settings;

namespace Mira.Web.Lifetime;

/// <summary>
/// Serves on for a while after the order to stop, with readiness already false, so that a load balancer has turned away
/// before the last connection is closed. An interrupt from the keyboard, or a second signal, does not wait. A process
/// that was told to stop by a signal ends in time, whatever does not answer it.
/// </summary>
public sealed class GracefulShutdown(GracefulShutdownOptions options, TimeProvider clock) : IHostedLifecycleService, IDisposable
{
    private readonly CancellationTokenSource _hurry = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private int _heard;
    private volatile bool _hasEnded;
    private bool _hasServed;

    public bool HasBegun { get; private set; }

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        foreach (var signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM])
            _signals.Add(PosixSignalRegistration.Create(signal, Hear));
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        HasBegun = true;
        if (_hasServed)
            await Task.Delay(options.Duration, clock, _hurry.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _hasEnded = true;
        if (Volatile.Read(ref _heard) > 0)
            ExitAfter(GracefulShutdownOptions.Limit);
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
        foreach (var signal in _signals)
            signal.Dispose();
        _hurry.Dispose();
    }

    private void Hear(PosixSignalContext signal)
    {
        // Else the platform would end the process here and now.
        signal.Cancel = true;
        var isFirst = Interlocked.Increment(ref _heard) == 1;
        if (!isFirst && _hasEnded)
            ExitAfter(TimeSpan.Zero);
        if (isFirst)
            ExitAfter(options.Duration + GracefulShutdownOptions.Limit);
        if (!isFirst || signal.Signal == PosixSignal.SIGINT)
            _hurry.Cancel();
    }

    // On a thread of its own: what keeps the process from ending may have used up those of the pool.
    private static void ExitAfter(TimeSpan time) => new Thread(() =>
    {
        var never = new ManualResetEventSlim();
        never.Wait(time);
        new Thread(() =>
        {
            never.Wait(GracefulShutdownOptions.LastMoment);
            LastExit.Take();
        })
        { IsBackground = true }.Start();
        Environment.Exit(0);
    })
    { IsBackground = true }.Start();
}

/// <summary><c>MIRA_DRAIN_SECONDS</c>, 0 to 300.</summary>
public sealed record GracefulShutdownOptions(TimeSpan Duration)
{
    /// <summary>
    /// How long a process waits, beyond the graceful shutdown of the one before it, for the lock on the store.
    /// </summary>
    public static readonly TimeSpan Rest = TimeSpan.FromSeconds(20);

    /// <summary>How long running calls and background loops may take to end after the graceful shutdown.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    /// <summary>When the process ends after the graceful shutdown, whatever is left to do.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(1_400);

    /// <summary>What an exit may take that waits for something itself; then the process ends without it.</summary>
    public static readonly TimeSpan LastMoment = TimeSpan.FromMilliseconds(300);

    public static GracefulShutdownOptions Read(SettingReader settings) =>
        new(TimeSpan.FromSeconds(settings.Number("MIRA_DRAIN_SECONDS", "Mira:DrainSeconds", 5, 0, 300)));
}
