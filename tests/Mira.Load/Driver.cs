namespace Mira.Load;

/// <summary>A request that is told its number, and the run to note failures in.</summary>
public delegate Task<Outcome> Send(int number, Run run, CancellationToken cancellationToken);

/// <summary>
/// Sends each request when it is due, and measures from that moment until its response is there. So a server that
/// stalls shows in the latency of
/// every request that was due meanwhile, not only in that of the few that were on their way (coordinated omission).
/// </summary>
public sealed class Driver(Send send, TimeProvider clock)
{
    /// <summary>
    /// More requests than this are never on their way at once. The wait for a place counts as latency.
    /// </summary>
    public const int MostInFlight = 10_000;

    public async Task RunAsync(IEnumerable<int> arrivals, Run run, CancellationToken cancellationToken)
    {
        using var room = new SemaphoreSlim(MostInFlight);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var start = clock.GetTimestamp();
        // A thread of its own: timers and the thread pool would send late while they are busy with responses.
        var sender = new Thread(() => SendAll(arrivals, run, start, room, ended, cancellationToken));
        (sender.IsBackground, sender.Name) = (true, "arrivals");
        sender.Start();
        await ended.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // Every response is waited for, also when the run was stopped.
        for (var place = 0; place < MostInFlight; place++)
            await room.WaitAsync(CancellationToken.None);
        run.Elapsed = clock.GetElapsedTime(start);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private void SendAll(
        IEnumerable<int> arrivals, Run run, long start, SemaphoreSlim room, TaskCompletionSource ended,
        CancellationToken cancellationToken)
    {
        try
        {
            using var pause = new ManualResetEventSlim(false, 0);
            var number = 0;
            foreach (var due in arrivals)
            {
                for (var left = Left(start, due); left > 0; left = Left(start, due))
                    pause.Wait(Math.Max(1, (int)left), cancellationToken);
                room.Wait(cancellationToken);
                run.Lag.Record(Since(start, due));
                run.Begin();
                _ = SendAsync(number++, due, run, start, room, cancellationToken);
            }

            ended.SetResult();
        }
        catch (OperationCanceledException)
        {
            ended.SetCanceled(cancellationToken);
        }
    }

    private async Task SendAsync(
        int number, int due, Run run, long start, SemaphoreSlim room, CancellationToken cancellationToken)
    {
        var outcome = Outcome.Failed;
        try
        {
            outcome = await send(number, run, cancellationToken);
        }
        catch (Exception exception) when (
            exception is HttpRequestException or OperationCanceledException or IOException)
        {
            run.Note(exception.Message);
        }
        finally
        {
            run.End(due, outcome, Since(start, due));
            room.Release();
        }
    }

    private double Left(long start, int due) => due - clock.GetElapsedTime(start).TotalMilliseconds;

    private TimeSpan Since(long start, int due) => clock.GetElapsedTime(start) - TimeSpan.FromMilliseconds(due);
}
