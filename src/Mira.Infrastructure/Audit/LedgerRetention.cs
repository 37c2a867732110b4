using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Audit;

/// <summary>How long events are kept.</summary>
/// <param name="Days"><c>Mira__Audit__RetentionDays</c>, 1 to 36 500; null for ever.</param>
public sealed record RetentionOptions(int? Days)
{
    private const string Setting = "Mira__Audit__RetentionDays";

    /// <summary>What a node that starts reads of the last changes stays, however old it is.</summary>
    public int Kept { get; init; } = RecentChanges.DefaultCapacity;

    /// <summary>How many events go in one change, which holds the ledger's lock for so long.</summary>
    public int Batch { get; init; } = 1_000;

    /// <exception cref="SettingException">It is not a whole number in the range.</exception>
    public static RetentionOptions Read(SettingReader settings) =>
        new(settings.Number(Setting, null, 1, 36_500))
        {
            Kept = LedgerPollerOptions.Read(settings).RememberedChanges,
        };
}

/// <summary>
/// Prunes what is older than it has to be kept, once an hour, in small changes; without the setting nothing ever goes.
/// </summary>
public sealed partial class LedgerRetention(
    RetentionOptions options, LedgerPoller poller, IServiceScopeFactory scopes, TimeProvider clock, ILogger<LedgerRetention> log, LoopBoard? board = null)
    : BackgroundLoops(clock, board)
{
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    // Not at once: the chain is checked first, and what does not hold is not pruned.
    protected override IEnumerable<Loop> Loops() => options.Days is null ? [] : [new("retention", Interval, TryPruneAsync)];

    private async Task TryPruneAsync(CancellationToken cancellationToken)
    {
        try
        {
            await PruneAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is LedgerUnavailableException or OverloadedException)
        {
            LogDelayed(exception.InnerException?.Message);
        }
    }

    internal async Task PruneAsync(CancellationToken cancellationToken)
    {
        if (options.Days is not { } days)
            return;

        PruneResult cut;
        do
        {
            // A ledger that does not hold together is evidence.
            if (poller.IsBroken)
                return;

            await using var scope = scopes.CreateAsyncScope();
            cut = await scope.ServiceProvider.GetRequiredService<ILedger>()
                .ChangeAsync(change => change.CutAsync(change.Now.AddDays(-days), options.Kept, options.Batch), cancellationToken);
            if (cut.FirstBad is { } seq)
            {
                poller.ReportBroken();
                LogBroken(seq);
            }
        }
        while (cut.Count == options.Batch);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Old events are not pruned yet: {Cause}")]
    private partial void LogDelayed(string? cause);

    [LoggerMessage(Level = LogLevel.Critical, Message = "Nothing is pruned: the ledger's chain is broken at {Seq}")]
    private partial void LogBroken(long seq);
}
