using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Ledger;

/// <summary>Looks at the ledger each second, so that its state is known also when nobody calls.</summary>
public sealed partial class FollowLoop(LedgerFollower follower, LedgerFollowerOptions options, TimeProvider clock, ILogger<FollowLoop> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.PollInterval, clock);
        var wasBroken = false;
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await follower.CatchUpAsync();
            }
            catch (StoreUnavailableException exception)
            {
                LogUnreadable(exception.InnerException?.Message);
            }

            if (follower.IsBroken && !wasBroken)
                LogBroken(follower.Seen.Seq);
            wasBroken = follower.IsBroken;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The ledger cannot be read: {Cause}")]
    private partial void LogUnreadable(string? cause);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger is not the one this node has seen; it stands at {Seq} now")]
    private partial void LogBroken(long seq);
}
