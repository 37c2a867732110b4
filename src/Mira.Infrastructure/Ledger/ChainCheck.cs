using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Ledger;

/// <summary>Checks the whole ledger once after the start, beside the traffic: what was edited while the service was down shows in health and log.</summary>
public sealed partial class ChainCheck(
    ILedgerReader ledger, ILedgerArchive archive, AuditKey key, LedgerFollower follower, IHostApplicationLifetime lifetime, ILogger<ChainCheck> log,
    TimeProvider clock, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    protected override IEnumerable<Loop> Loops() => [new("chain_check", Timeout.InfiniteTimeSpan, CheckAsync) { StartsAtOnce = true }];

    private async Task CheckAsync(CancellationToken stoppingToken)
    {
        // A long ledger must not keep the service from becoming ready.
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);

        ChainProof? proof = null;
        try
        {
            var flaw = await StoredChain.CheckAsync(ledger, archive, () => proof = new ChainProof([key.Public]), stoppingToken);
            if (flaw is null)
                return;

            follower.ReportBroken();
            LogBroken(flaw.Seq, flaw);
        }
        catch (StoreUnavailableException exception)
        {
            LogUnchecked(proof?.Last.Seq ?? 0, exception.InnerException?.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger's chain is broken at {Seq}: {Flaw}")]
    private partial void LogBroken(long seq, Flaw flaw);

    [LoggerMessage(Level = LogLevel.Error, Message = "The ledger's chain was checked up to {Seq} only: {Cause}")]
    private partial void LogUnchecked(long seq, string? cause);
}
