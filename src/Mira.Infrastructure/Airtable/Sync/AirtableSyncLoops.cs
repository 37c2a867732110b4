using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Infrastructure.Admins;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Keeps the mirror and the table true to each other, on the node that has the lease; the others look how it stands.
/// </summary>
public sealed partial class AirtableSyncLoops(
    AirtableOptions options, WriterLease lease, AirtableStatus sight, TablePoller watch, RecordRepairs upkeep, IntentDispatcher courier, AirtableClient client,
    LedgerPollerOptions following, FirstAdmin firstAdmin, TimeProvider clock, ILogger<AirtableSyncLoops> log,
    LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ServePace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan UseInterval = TimeSpan.FromMinutes(5);

    /// <summary>What a start waits for Airtable; one that takes longer goes on without it.</summary>
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(4);

    private string? _lastProblem;

    /// <summary>
    /// Holds the table to what is needed of it, and reads it where that takes one page; a longer one is read beside the
    /// calls.
    /// </summary>
    /// <returns>Is it known which keys there are?</returns>
    /// <exception cref="SettingException">The table is not usable.</exception>
    public async Task<bool> BeginAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(StartPatience, Clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        await sight.RefreshAsync(cancellationToken);
        try
        {
            if (await TableCheck.CheckAsync(client, either.Token) is { } problem)
                LogAway(problem);
            else if (!sight.IsLoaded && await lease.HoldAsync(cancellationToken))
                await watch.SweepAsync(pages: 1, either.Token);
        }
        catch (Exception exception) when (exception is AirtableException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            LogAway(exception.Message);
        }

        await sight.RefreshAsync(cancellationToken);
        return sight.IsLoaded;
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await TryAsync(lease.ReleaseAsync);
    }

    protected override IEnumerable<Loop> Loops()
    {
        // By itself: what it is held for may wait for Airtable longer than it lasts.
        yield return Of("airtable_lease", Tick, _ => lease.HoldAsync(CancellationToken.None));
        yield return Of("airtable_keep", Tick, _ => KeepAsync());
        yield return Of("airtable_poll", Tick, Each(options.PollInterval, stopping => sight.IsLoaded ? watch.PollAsync(stopping) : Task.CompletedTask));
        yield return Of("airtable_sweep", Tick, Each(options.SweepInterval, SweepAsync, () => !sight.IsLoaded));
        yield return Of("airtable_use", Tick, Each(UseInterval, upkeep.ShowUseAsync));
        // With one node there is nobody to serve.
        if (following.IsShared)
            yield return Of("airtable_serve", ServePace, stopping => lease.IsHeld ? courier.ServeAsync(stopping) : Task.CompletedTask);
    }

    private async Task KeepAsync()
    {
        await sight.RefreshAsync(CancellationToken.None);
        if (!lease.IsHeld)
            return;

        await upkeep.SettleAsync(CancellationToken.None);
        await upkeep.RepairAsync(CancellationToken.None);
        if (sight.IsEmpty)
            await firstAdmin.MakeAsync(CancellationToken.None);
    }

    private async Task SweepAsync(CancellationToken stoppingToken)
    {
        await watch.SweepAsync(int.MaxValue, stoppingToken);
        await upkeep.AdoptAsync(stoppingToken);
    }

    /// <summary>
    /// Does something when so much time has passed since it began last, and sooner where it is urgent.
    /// </summary>
    private Func<CancellationToken, Task> Each(TimeSpan interval, Func<CancellationToken, Task> work, Func<bool>? isUrgent = null)
    {
        long? began = null;
        return async stopping =>
        {
            if (!lease.IsHeld || (began is { } last && Clock.GetElapsedTime(last) < interval && isUrgent?.Invoke() != true))
                return;

            began = Clock.GetTimestamp();
            await work(stopping);
            await sight.RefreshAsync(CancellationToken.None);
        };
    }

    private Loop Of(string name, TimeSpan interval, Func<CancellationToken, Task> work) =>
        new(name, interval < options.PollInterval ? interval : options.PollInterval, stopping => TryAsync(() => work(stopping))) { StartsAtOnce = true };

    // Whatever keeps one of these from its work, the next tick is another attempt. What nobody foresaw is a fault of
    // the loop.
    private async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (exception is AirtableException or StoreUnavailableException or LedgerUnavailableException or OverloadedException)
        {
            var problem = exception.InnerException is { } cause ? $"{exception.Message} {cause.Message}" : exception.Message;
            if (Interlocked.Exchange(ref _lastProblem, problem) != problem)
                LogProblem(problem);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Airtable is not reached at the start, which goes on without it: {Problem}")]
    private partial void LogAway(string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Airtable is not kept up to date now: {Problem}")]
    private partial void LogProblem(string problem);
}
