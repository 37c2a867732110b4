using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>Reads the ledger from the database.</summary>
public sealed class SqlLedgerReader(IDbContextFactory<MiraDbContext> contexts) : ILedgerReader
{
    /// <inheritdoc/>
    public Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken) => ReadAsync(
        async database => (await database.Heads.AsNoTracking().SingleAsync(cancellationToken)).Position, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken) => ReadAsync<IReadOnlyList<LedgerEvent>>(
        async database => await database.Events.AsNoTracking()
            .Where(entry => entry.Seq >= seq).OrderBy(entry => entry.Seq).Take(limit).ToListAsync(cancellationToken),
        cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken) => ReadAsync<IReadOnlyList<LedgerEvent>>(
        async database => await Matching(database, filter).AsNoTracking()
            .OrderByDescending(entry => entry.Seq).Take(filter.Limit).ToListAsync(cancellationToken),
        cancellationToken);

    private static IQueryable<LedgerEvent> Matching(MiraDbContext database, EventFilter filter)
    {
        IQueryable<LedgerEvent> events = database.Events;
        if (filter.Type is { } type)
            events = events.Where(entry => entry.Type == type);
        if (filter.Subject is { } subject)
            events = events.Where(entry => entry.Subject == subject);
        if (filter.ActorKeyId is { } actor)
            events = events.Where(entry => entry.ActorKeyId == actor);
        if (Round(filter.From) is { } from)
            events = events.Where(entry => entry.At >= from);
        if (Round(filter.To) is { } to)
            events = events.Where(entry => entry.At < to);
        if (filter.Before is { } before)
            events = events.Where(entry => entry.Seq < before);
        return events;
    }

    // Events lie at whole milliseconds, so a time between two of them means the later one, as a first and as a last.
    private static DateTimeOffset? Round(DateTimeOffset? time) =>
        time > DateTimeOffset.MaxValue.AddMilliseconds(-1) ? time : time is { } between ? Rfc3339.Truncate(between.AddTicks(TimeSpan.TicksPerMillisecond - 1)) : null;

    private Task<T> ReadAsync<T>(Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        contexts.ReadAsync("The ledger cannot be read.", read, cancellationToken);
}
