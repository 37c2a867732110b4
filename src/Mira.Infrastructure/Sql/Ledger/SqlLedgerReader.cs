using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Reads the ledger from the database. What nodes follow it by is asked together with whether the server is a standby,
/// in one statement: such an answer is refused, so that nobody takes it for a look at the ledger.
/// </summary>
public sealed class SqlLedgerReader(IDbContextFactory<MiraDbContext> contexts) : ILedgerReader
{
    /// <summary>Small enough that no statement comes near the limits of time, on a busy machine either.</summary>
    private const int OutlinePage = 20_000;

    /// <inheritdoc/>
    public Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken) => ReadAsync(
        async database =>
        {
            var row = await database.Heads.AsNoTracking().Select(head => new { Head = head, IsStandby = ReadOnlyServer.IsAnswering() }).SingleAsync(cancellationToken);
            ReadOnlyServer.Refuse(database, row.IsStandby);
            return row.Head.Position;
        },
        cancellationToken);

    /// <inheritdoc/>
    public async Task<LedgerOutline> GetOutlineAsync(int depth, CancellationToken cancellationToken)
    {
        // The head first: what is read after it is never less.
        var head = await GetHeadAsync(cancellationToken);
        var epoch = await ReadAsync(database => FindEpochAsync(database, head.Seq, cancellationToken), cancellationToken);
        var floor = Math.Max(0, head.Seq - depth);
        var changes = new List<(long, KeyId)>();
        for (var after = floor; after < head.Seq; after += OutlinePage)
        {
            var (from, to) = (after, Math.Min(after + OutlinePage, head.Seq));
            changes.AddRange(await ReadAsync(database => FindChangesAsync(database, from, to, cancellationToken), cancellationToken));
        }

        return new LedgerOutline(head, epoch, floor, changes);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken)
    {
        var page = await ReadAsync<IReadOnlyList<LedgerEvent>>(
            async database =>
            {
                var events = database.Events.AsNoTracking().Where(entry => entry.Seq >= seq).OrderBy(entry => entry.Seq).Take(limit);
                return await events.ReadAsync(
                    database,
                    async part =>
                    {
                        var rows = await part.Select(entry => new { Entry = entry, IsStandby = ReadOnlyServer.IsAnswering() }).ToListAsync(cancellationToken);
                        ReadOnlyServer.Refuse(database, rows.Exists(row => row.IsStandby));
                        return [.. rows.Select(row => row.Entry)];
                    },
                    cancellationToken);
            },
            cancellationToken);
        // An empty page says nothing about who answered; the head does.
        if (page.Count == 0)
            await GetHeadAsync(cancellationToken);
        return page;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken) => ReadAsync<IReadOnlyList<LedgerEvent>>(
        async database => await Matching(database, filter).AsNoTracking().OrderByDescending(entry => entry.Seq).Take(filter.Limit)
            .ReadAsync(database, part => part.ToListAsync(cancellationToken), cancellationToken),
        cancellationToken);

    private static async Task<List<(long, KeyId)>> FindChangesAsync(MiraDbContext database, long after, long to, CancellationToken cancellationToken)
    {
        var named = await database.Events
            .Where(entry => entry.Seq > after && entry.Seq <= to && entry.Subject != null
                && (entry.Type.StartsWith(EventType.OfKeys) || (entry.Type == EventType.IntegrityViolation && entry.Body.Contains(LedgerEvent.OfItsOwn))))
            .OrderBy(entry => entry.Seq).Select(entry => new { entry.Seq, entry.Subject, IsStandby = ReadOnlyServer.IsAnswering() }).ToListAsync(cancellationToken);
        ReadOnlyServer.Refuse(database, named.Exists(entry => entry.IsStandby));
        var changes = new List<(long, KeyId)>(named.Count);
        foreach (var entry in named)
        {
            if (KeyId.TryParse(entry.Subject, out var id))
                changes.Add((entry.Seq, id));
        }

        return changes;
    }

    /// <summary>The name of the ledger as it was when it ended there.</summary>
    internal static async Task<string> FindEpochAsync(MiraDbContext database, long upTo, CancellationToken cancellationToken)
    {
        var started = await database.Events
            .Where(entry => entry.Type == EventType.IntegrityViolation && entry.Subject == null && entry.Seq <= upTo && entry.Body.Contains(LedgerEpoch.Mark))
            .OrderByDescending(entry => entry.Seq).Select(entry => entry.Hash).FirstOrDefaultAsync(cancellationToken)
            ?? await database.Events.Where(entry => entry.Seq == 1).Select(entry => entry.Hash).FirstOrDefaultAsync(cancellationToken);
        return started is not null ? LedgerEpoch.NameOf(started)
            : await database.Begins.Select(begin => begin.Epoch).FirstOrDefaultAsync(cancellationToken) ?? "";
    }

    internal static IQueryable<LedgerEvent> Matching(MiraDbContext database, EventFilter filter)
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
