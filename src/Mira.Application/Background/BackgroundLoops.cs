using Microsoft.Extensions.Hosting;

namespace Mira.Application.Background;

/// <summary>
/// What runs beside the calls, round after round, for as long as the process serves. Nothing that a round throws can
/// stop the process or another loop: it is logged, counted and shown in health, and after a pause the loop goes on.
/// </summary>
/// <remarks>
/// Every hosted service that does work in the background derives from this one and declares its loops. A round that is
/// expected to fail handles that itself; what it throws counts as a fault of the loop. A round may also last as long as
/// the process; it calls <see cref="LoopRecord.NoteSuccess"/> once it works.
/// </remarks>
/// <param name="board">Where failures are shown; null shows them to nobody.</param>
public abstract class BackgroundLoops(TimeProvider clock, LoopBoard? board) : BackgroundService
{
    /// <summary>
    /// The pause after a first failure. It doubles with each that follows, up to <see cref="LongestPause"/>.
    /// </summary>
    public static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    protected TimeProvider Clock => clock;

    /// <summary>The loops to run; none when there is nothing to do.</summary>
    protected abstract IEnumerable<Loop> Loops();

    protected sealed override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Loops().ToList().Select(loop => Task.Run(() => RepeatAsync(loop, stoppingToken), CancellationToken.None)));

    // Nodes of one store meet the same fault at the same time, so they spread their attempts.
    internal static TimeSpan PauseAfter(int failures)
    {
        var pause = ShortestPause * Math.Pow(2, Math.Min(failures - 1, 10));
        return (pause < LongestPause ? pause : LongestPause) * (0.75 + (Random.Shared.NextDouble() / 2));
    }

    private async Task RepeatAsync(Loop loop, CancellationToken stoppingToken)
    {
        var record = board?.Enter(loop.Name) ?? new LoopRecord((_, _) => { });
        using var beat = loop.Interval >= LoopTimer.Interval ? LoopTimer.Of(clock).Join(loop.Interval, loop.HasWork) : null;
        using var timer = beat is null ? new PeriodicTimer(loop.Interval, clock) : null;
        try
        {
            var isDue = loop.StartsAtOnce || await NextAsync();
            for (var failures = 0; isDue;)
            {
                failures = await TryAsync(loop, record, stoppingToken) ? 0 : failures + 1;
                if (failures > 0)
                    await Task.Delay(PauseAfter(failures), clock, stoppingToken);
                else
                    isDue = loop.Interval != Timeout.InfiniteTimeSpan && await NextAsync();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }

        ValueTask<bool> NextAsync() => beat?.WaitAsync(stoppingToken) ?? timer!.WaitForNextTickAsync(stoppingToken);
    }

    private static async Task<bool> TryAsync(Loop loop, LoopRecord record, CancellationToken stoppingToken)
    {
        try
        {
            await loop.Round(record, stoppingToken);
            record.NoteSuccess();
            return true;
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            record.NoteFailure(exception);
            return false;
        }
    }
}

/// <summary>One loop of a background service.</summary>
/// <param name="Name">The label of its metrics, in snake case: one of a few words that are fixed in the source.</param>
/// <param name="Interval">From the begin of one round to that of the next, within half a second where it is a second or
/// more. A round that takes longer is followed by the next at once. Infinite ends the loop with the first round that
/// succeeds.</param>
/// <param name="Round">What it does each time.</param>
public sealed record Loop(string Name, TimeSpan Interval, Func<LoopRecord, CancellationToken, Task> Round)
{
    public Loop(string name, TimeSpan interval, Func<CancellationToken, Task> round)
        : this(name, interval, (_, cancellationToken) => round(cancellationToken))
    {
    }

    /// <summary>Does the first round begin without waiting for the interval?</summary>
    public bool StartsAtOnce { get; init; }

    /// <summary>
    /// Has a round that is due anything to do? Asked each second from then on, on the thread that wakes all loops: it
    /// answers at once from memory. A round with nothing to do is then not run at all. Null runs each. A loop of less
    /// than a second is not asked.
    /// </summary>
    public Func<bool>? HasWork { get; init; }
}
