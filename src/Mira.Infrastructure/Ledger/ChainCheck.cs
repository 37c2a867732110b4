using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Ledger;

/// <summary>Checks the whole chain once after the start, beside the traffic: what was edited while the service was down shows in health and log.</summary>
public sealed partial class ChainCheck(
    ILedgerReader ledger, LedgerFollower follower, IHostApplicationLifetime lifetime, ILogger<ChainCheck> log) : BackgroundService
{
    private const int PageSize = 1_000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A long ledger must not keep the service from becoming ready.
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);

        var last = LedgerPosition.Start;
        var end = follower.Seen.Seq;
        try
        {
            while (last.Seq < end)
            {
                var page = await ledger.ReadFromAsync(last.Seq + 1, PageSize, stoppingToken);
                foreach (var entry in page)
                {
                    if (!entry.Follows(last))
                    {
                        Report(last.Seq + 1);
                        return;
                    }

                    last = entry.Position;
                }

                if (page.Count == 0)
                {
                    Report(last.Seq + 1);
                    return;
                }
            }
        }
        catch (StoreUnavailableException exception)
        {
            LogUnchecked(last.Seq, exception.InnerException?.Message);
        }
    }

    private void Report(long seq)
    {
        follower.ReportBroken();
        LogBroken(seq);
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger's chain is broken at {Seq}: an event was changed, removed or put between")]
    private partial void LogBroken(long seq);

    [LoggerMessage(Level = LogLevel.Error, Message = "The ledger's chain was checked up to {Seq} only: {Cause}")]
    private partial void LogUnchecked(long seq, string? cause);
}
