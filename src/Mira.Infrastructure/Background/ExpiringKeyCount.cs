using Microsoft.EntityFrameworkCore;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>
/// Counts the keys that work now and will end soon with nothing in their place, every five minutes beside the calls, so
/// that somebody can be told before their holders are. All nodes of one store count the same keys.
/// </summary>
public sealed class ExpiringKeyCount(IDbContextFactory<MiraDbContext> contexts, TimeProvider clock, LoopBoard? board = null) : BackgroundLoops(clock, board), IMetricSource
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);
    private static readonly int[] Days = [3, 14];

    private volatile IReadOnlyList<int>? _counts;

    public void Register(Instruments instruments) => instruments.Gauge(
        "keys_expiring",
        "Keys that work now and end within so many days",
        "within",
        [.. Days.Select((days, index) => ($"{days}d", (Func<double?>)(() => _counts?[index])))]);

    protected override IEnumerable<Loop> Loops() => [new("expiry_watch", Interval, LookAsync) { StartsAtOnce = true }];

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CountAsync(cancellationToken);
        }
        catch (StoreUnavailableException)
        {
            // What was counted last is shown on; that the store is away is told by others.
        }
    }

    private async Task CountAsync(CancellationToken cancellationToken)
    {
        var now = Clock.GetUtcNow();
        var last = now.AddDays(Days[^1]);
        var ends = await contexts.ReadAsync(
            "The keys that end soon cannot be counted.",
            database => database.Keys.WhereActive(now)
                .Where(key => EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) > now && EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) <= last)
                .Select(key => EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt)!.Value)
                .ToListAsync(cancellationToken),
            cancellationToken);
        _counts = [.. Days.Select(days => ends.Count(end => end <= now.AddDays(days)))];
    }
}
