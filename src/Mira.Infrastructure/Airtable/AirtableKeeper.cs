using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Airtable;

/// <summary>Keeps the mirror and the table true to each other, on the node that has the lease; the others look how it stands.</summary>
public sealed partial class AirtableKeeper(
    AirtableOptions options, AirtableLease lease, AirtableSight sight, AirtableWatch watch, AirtableUpkeep upkeep, AirtableCourier courier, AirtableClient client,
    LedgerFollowerOptions following, FirstAdmin firstAdmin, TimeProvider clock, ILogger<AirtableKeeper> log) : BackgroundService
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ServePace = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan UseInterval = TimeSpan.FromMinutes(5);

    /// <summary>What a start waits for Airtable; one that takes longer goes on without it.</summary>
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(4);

    private string? _lastProblem;

    /// <summary>Holds the table to what is needed of it, and reads it where that takes one page; a longer one is read beside the calls.</summary>
    /// <returns>Is it known which keys there are?</returns>
    /// <exception cref="SettingException">The table is not usable.</exception>
    public async Task<bool> BeginAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(StartPatience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        await sight.RefreshAsync(cancellationToken);
        try
        {
            if (await AirtableSetup.CheckAsync(client, either.Token) is { } problem)
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

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        // By itself: what it is held for may wait for Airtable longer than it lasts.
        LoopAsync(Tick, () => lease.HoldAsync(CancellationToken.None), stoppingToken),
        LoopAsync(Tick, KeepAsync, stoppingToken),
        LoopAsync(Tick, Each(options.PollInterval, () => sight.IsLoaded ? watch.PollAsync(stoppingToken) : Task.CompletedTask), stoppingToken),
        LoopAsync(Tick, Each(options.SweepInterval, () => SweepAsync(stoppingToken), () => !sight.IsLoaded), stoppingToken),
        LoopAsync(Tick, Each(UseInterval, () => upkeep.ShowUseAsync(stoppingToken)), stoppingToken),
        // With one node there is nobody to serve.
        following.IsShared ? LoopAsync(ServePace, () => lease.IsHeld ? courier.ServeAsync(stoppingToken) : Task.CompletedTask, stoppingToken) : Task.CompletedTask);

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

    /// <summary>Does something when so much time has passed since it began last, and sooner where it is urgent.</summary>
    private Func<Task> Each(TimeSpan interval, Func<Task> work, Func<bool>? isUrgent = null)
    {
        long? began = null;
        return async () =>
        {
            if (!lease.IsHeld || (began is { } last && clock.GetElapsedTime(last) < interval && isUrgent?.Invoke() != true))
                return;

            began = clock.GetTimestamp();
            await work();
            await sight.RefreshAsync(CancellationToken.None);
        };
    }

    private async Task LoopAsync(TimeSpan interval, Func<Task> work, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval < options.PollInterval ? interval : options.PollInterval, clock);
        do
        {
            await TryAsync(work);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    // Whatever keeps one of these from its work, the next tick is another attempt.
    private async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
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
