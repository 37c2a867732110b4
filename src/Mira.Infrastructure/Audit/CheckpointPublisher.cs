using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// Publishes where the ledger stands, in the log and to the anchor: after a thousand events, after a minute with any,
/// and when the service has stopped. Each node publishes what all of them kept, so that each copy is whole.
/// </summary>
public sealed partial class CheckpointPublisher(
    SqlLedgerArchive archive, SingleWriter gate, AuditKey key, LedgerPoller poller, CheckpointAnchor anchor, TimeProvider clock,
    ILogger<CheckpointPublisher> log, LoopBoard? board = null) : BackgroundLoops(clock, board), IHostedLifecycleService
{
    private const int MostAtOnce = 100;

    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly Lock _lock = new();
    private Task? _stop;
    private long _published = -1;
    private DateTimeOffset _lastAt;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // Registered before what records the stop, and so after it here. A host can be told to stop by two sides at once;
    // both wait for the one stop.
    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
            return _stop ??= _published < 0 ? Task.CompletedTask : PublishLastAsync();
    }

    public override void Dispose()
    {
        _one.Dispose();
        base.Dispose();
    }

    protected override IEnumerable<Loop> Loops() => [new("checkpoints", Pace, cancellation => PublishAsync(isLast: false, cancellation)) { StartsAtOnce = true, HasWork = () => poller.Seen.Seq != Volatile.Read(ref _published) }];

    private async Task PublishLastAsync()
    {
        await PublishAsync(isLast: true, CancellationToken.None);
        await anchor.FlushAsync();
    }

    private async Task PublishAsync(bool isLast, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            // After a fail-over or a restore the ledger may end before what was published: what comes now is published
            // anew.
            if (_published > poller.Seen.Seq)
                _published = -1;
            if (_published < 0)
                Note(await archive.FindNewestAsync(cancellationToken) is { } newest && newest.Seq <= poller.Seen.Seq && key.Public.Verifies(newest) ? newest : null);

            var seen = poller.Seen.Seq;
            if (seen > _published && (isLast || Clock.GetUtcNow() - _lastAt >= Interval))
                await PublishHeadAsync(isLast, cancellationToken);
            else if (seen / HeadSigner.CheckpointInterval > _published / HeadSigner.CheckpointInterval)
                await PublishKeptAsync(cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // Others say so; it is looked at again at the next tick.
        }
        finally
        {
            _one.Release();
        }
    }

    private async Task PublishHeadAsync(bool isLast, CancellationToken cancellationToken)
    {
        // Another node may have done it a moment ago.
        await PublishKeptAsync(cancellationToken);
        if (!isLast && Clock.GetUtcNow() - _lastAt < Interval)
            return;

        var head = await archive.ReadHeadAsync(cancellationToken);
        if (head.Statement is not { } statement || statement.Seq <= _published || !key.Public.Verifies(statement))
            return;

        try
        {
            await gate.RunAsync(() => archive.KeepAsync(statement, key.Public, cancellationToken), cancellationToken);
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            if (!isLast)
                return;
        }

        Publish(statement);
    }

    private async Task PublishKeptAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<Checkpoint> kept;
        var next = _published + 1;
        do
        {
            kept = await archive.FindCheckpointsAsync(new LedgerRange(next, poller.Seen.Seq), key.Public.Id, MostAtOnce, cancellationToken);
            foreach (var checkpoint in kept)
            {
                // One that somebody else put there stands for nothing, and stops none that comes after it.
                if (key.Public.Verifies(checkpoint))
                    Publish(checkpoint);
                else
                    poller.ReportBroken();
                next = checkpoint.Seq + 1;
            }
        }
        while (kept.Count == MostAtOnce);
    }

    private void Publish(Checkpoint checkpoint)
    {
        LogCheckpoint(checkpoint.Seq, checkpoint);
        anchor.Offer(checkpoint);
        Note(checkpoint);
    }

    private void Note(Checkpoint? checkpoint) => (_published, _lastAt) = (checkpoint?.Seq ?? 0, checkpoint?.At ?? default);

    [LoggerMessage(Level = LogLevel.Information, Message = "The ledger stands at {Seq}: {Checkpoint}")]
    private partial void LogCheckpoint(long seq, Checkpoint checkpoint);
}
