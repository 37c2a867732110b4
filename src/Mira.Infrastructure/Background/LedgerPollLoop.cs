using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Background;

/// <summary>
/// Looks at the ledger each second, so that its state is known also when nobody calls; every three seconds while nobody
/// calls and nobody else writes to it. The first call after that looks before it is answered. A ledger that is not the
/// one this node had seen is recorded in it, which begins a new epoch for all nodes.
/// </summary>
public sealed partial class LedgerPollLoop(
    LedgerPoller poller, LedgerPollerOptions options, IServiceScopeFactory scopes, TimeProvider clock, ILogger<LedgerPollLoop> log,
    LoopBoard? board = null, QuietTime? quiet = null) : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan QuietInterval = TimeSpan.FromSeconds(3);

    private string? _told;

    protected override IEnumerable<Loop> Loops() => [new("follow", options.PollInterval, FollowAsync) { HasWork = IsToLook }];

    internal bool IsToLook() =>
        quiet is not { IsNow: true } || !poller.IsReachable || poller.Violation is not null
        || poller.Staleness is not { } age || age >= QuietInterval || age >= options.MaxStaleness / 2;

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            await poller.CatchUpAsync();
        }
        catch (StoreUnavailableException exception)
        {
            LogUnreadable(exception.InnerException?.Message);
        }

        if (poller.Violation is not { } violation)
            return;

        if (_told is null)
            LogBroken(violation, poller.Seen.Seq);
        _told = violation;
        if (await RecordAsync(violation, cancellationToken))
            _told = null;
    }

    // Tried again at the next poll until it is there.
    private async Task<bool> RecordAsync(string violation, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        try
        {
            await LedgerEpoch.BeginAsync(scope.ServiceProvider.GetRequiredService<ILedger>(), violation, cancellationToken);
            poller.MarkRecorded(violation);
            return true;
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The ledger cannot be read: {Cause}")]
    private partial void LogUnreadable(string? cause);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger is not the one this node has seen ({Violation}); it stands at {Seq} now")]
    private partial void LogBroken(string violation, long seq);
}
