using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Audit;

/// <summary>How fast the stored chain is checked again.</summary>
/// <param name="EventsPerSecond"><c>Mira__Audit__CheckRate</c>, 1 to 100 000, default 100. A ledger too long to be read
/// at it in a day is read in a day.</param>
public sealed record ChainCheckOptions(int EventsPerSecond = 100)
{
    /// <summary>From the end of one check to the begin of the next.</summary>
    public TimeSpan Rest { get; init; } = TimeSpan.FromSeconds(30);

    /// <exception cref="SettingException">It is not a whole number in the range.</exception>
    public static ChainCheckOptions Read(SettingReader settings) =>
        new(settings.Number("Mira__Audit__CheckRate", null, new ChainCheckOptions().EventsPerSecond, 1, 100_000));

    /// <summary>How long to wait after so many events.</summary>
    internal TimeSpan PauseAfter(int events, long all) =>
        TimeSpan.FromSeconds(events / Math.Max(EventsPerSecond, all / TimeSpan.FromDays(1).TotalSeconds));
}

/// <summary>
/// Checks the whole ledger after the start, beside the traffic, and then again and again at a slow pace: what was
/// edited while the service was down or while it runs shows in health, metrics and log.
/// </summary>
public sealed partial class ChainCheck(
    ILedgerReader ledger, ILedgerArchive archive, AuditKey key, LedgerPoller poller, VerifiedLedger verified, ChainCheckOptions options, TimeProvider clock,
    IHostApplicationLifetime lifetime, ILogger<ChainCheck> log, LoopBoard? board = null)
    : BackgroundLoops(clock, board)
{
    private bool _isTold;

    protected override IEnumerable<Loop> Loops() => [new("chain_check", Timeout.InfiniteTimeSpan, RepeatAsync) { StartsAtOnce = true }];

    private async Task RepeatAsync(LoopRecord record, CancellationToken stoppingToken)
    {
        // A long ledger must not keep the service from becoming ready.
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(stoppingToken);

        await CheckAsync(_ => Task.CompletedTask, stoppingToken);
        while (true)
        {
            record.NoteSuccess();
            await Task.Delay(options.Rest, Clock, stoppingToken);
            await CheckAsync(events => Task.Delay(options.PauseAfter(events, poller.Seen.Seq), Clock, stoppingToken), stoppingToken);
        }
    }

    /// <summary>Checks the ledger once, from its first event to where it ends now.</summary>
    /// <param name="pace">Waits after so many events.</param>
    internal async Task CheckAsync(Func<int, Task> pace, CancellationToken cancellationToken)
    {
        var began = Clock.GetTimestamp();
        ChainProof? proof = null;
        try
        {
            var flaw = await LedgerVerification.CheckAsync(ledger, archive, () => proof = new ChainProof([key.Public]), cancellationToken, pace);
            if (flaw is null)
            {
                verified.Note(proof!.Last.Seq, began);
                return;
            }

            poller.ReportBroken();
            if (!_isTold)
                LogBroken(flaw.Seq, flaw);
            _isTold = true;
        }
        catch (StoreUnavailableException exception)
        {
            LogUnchecked(proof?.Last.Seq ?? 0, exception.InnerException?.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Critical, Message = "The ledger's chain is broken at {Seq}: {Flaw}")]
    private partial void LogBroken(long seq, ChainFault flaw);

    [LoggerMessage(Level = LogLevel.Error, Message = "The ledger's chain was checked up to {Seq} only: {Cause}")]
    private partial void LogUnchecked(long seq, string? cause);
}
