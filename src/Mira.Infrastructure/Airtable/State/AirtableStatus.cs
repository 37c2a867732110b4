using Microsoft.EntityFrameworkCore;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// How Airtable stands, as the last look at the shared row told: the same on all nodes, whichever of them calls
/// Airtable.
/// </summary>
public sealed class AirtableStatus(MirrorStore book, AirtableOptions options, TimeProvider clock) : IKeySource
{
    /// <summary>So many polls may be missed before it counts as away.</summary>
    private const int MissedPolls = 3;

    private static readonly TimeSpan ShortestMiss = TimeSpan.FromSeconds(2);

    private volatile Look? _look;

    /// <inheritdoc/>
    public bool IsReady => _look is { IsLoaded: true } look && look.Age(clock) <= options.MaxStaleness;

    /// <summary>Was the whole table read once?</summary>
    public bool IsLoaded => _look is { IsLoaded: true };

    /// <summary>Is there no key, here and in Airtable?</summary>
    public bool IsEmpty => _look is { IsLoaded: true, HasKeys: false };

    /// <inheritdoc/>
    public KeySourceHealth Health => _look is { } look
        ? new KeySourceHealth(look.Age(clock) <= Tolerated, look.Findings, look.Vanished, look.Age(clock) is { } age && age < TimeSpan.MaxValue ? Math.Round(age.TotalSeconds, 1) : null)
        : new KeySourceHealth(false, 0, 0, null);

    private TimeSpan Tolerated => options.PollInterval * MissedPolls + ShortestMiss;

    /// <exception cref="Application.Ledger.StoreUnavailableException">The database cannot be read.</exception>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var (timestamp, time) = (clock.GetTimestamp(), clock.GetUtcNow());
        _look = await book.ReadAsync(
            async (database, now) =>
            {
                var state = await database.AirtableStates.AsNoTracking().SingleAsync(cancellationToken);
                var findings = await database.AirtableRows.CountAsync(row => row.Finding != null, cancellationToken);
                return new Look(
                    state.SweptAt is not null, await database.Keys.AnyAsync(cancellationToken) || await database.AirtableIntents.AnyAsync(cancellationToken),
                    now - state.PolledAt ?? TimeSpan.MaxValue, findings, state.Vanished, timestamp, time);
            },
            cancellationToken);
    }

    /// <param name="AgeThen">How long ago Airtable was seen, at this look.</param>
    private sealed record Look(bool IsLoaded, bool HasKeys, TimeSpan AgeThen, int Findings, int Vanished, long Timestamp, DateTimeOffset Time)
    {
        // By the larger of both clocks, for a node that slept.
        public TimeSpan Age(TimeProvider clock)
        {
            if (AgeThen == TimeSpan.MaxValue)
                return TimeSpan.MaxValue;

            var (monotonic, wall) = (clock.GetElapsedTime(Timestamp), clock.GetUtcNow() - Time);
            return AgeThen + (monotonic > wall ? monotonic : wall);
        }
    }
}
