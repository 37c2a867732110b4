using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Reads the table: what was modified lately at each poll, all of it at each full read, by which missing records are
/// found.
/// </summary>
public sealed partial class TablePoller(
    MirrorStore book, RecordReconciler review, AirtableClient client, IServiceScopeFactory scopes, ILogger<TablePoller> log)
{
    public const string MissingReason = "row_missing";

    private const string VanishedReason = "rows_vanished";
    private const string DeletedReason = "deleted in Airtable";
    private const int ImportSize = 100;

    /// <summary>So few rows may always be missing at once.</summary>
    private const int FewMissing = 5;

    /// <summary>Or this part of them.</summary>
    private const double MissingShare = 0.05;

    /// <summary>
    /// What was modified so long before the last poll is looked at again: Airtable tells time in whole seconds, and
    /// shows changes a moment late.
    /// </summary>
    private static readonly TimeSpan Overlap = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Records that a poll could not judge because a change of their keys was on its way, each with the time up to
    /// which polls had looked before. Polls keep asking from the earliest of these times: a record that was modified
    /// before the time of a poll is in no later list.
    /// </summary>
    private readonly Dictionary<string, DateTimeOffset?> _skipped = [];

    /// <summary>Looks at what was modified since the last poll.</summary>
    /// <exception cref="AirtableException">Airtable does not answer.</exception>
    public async Task PollAsync(CancellationToken cancellationToken)
    {
        var (state, now) = await book.ReadStateAsync(cancellationToken);
        DateTimeOffset? servedAt = null;
        string? offset = null;
        var skipped = new HashSet<string>();
        do
        {
            var asked = review.Ask();
            var page = await client.ListAsync(offset, state.SeenUntil - Overlap, null, cancellationToken);
            servedAt ??= page.ServedAt;
            skipped.UnionWith(await review.ReviewAsync(page.Records, asked, cancellationToken));
            offset = page.Offset;
        }
        while (offset is not null);
        var seenUntil = SeenUntil(skipped, state.SeenUntil, servedAt);
        await NoteAsync(set => set.SetProperty(known => known.PolledAt, now).SetProperty(known => known.SeenUntil, seenUntil), cancellationToken);
    }

    /// <summary>Reads the whole table. What was there at its beginning and is not found is missing.</summary>
    /// <param name="pages">At most so many; no more, and nothing is concluded.</param>
    /// <returns>Whether all of it was read.</returns>
    /// <exception cref="AirtableException">Airtable does not answer, or has forgotten where the reading
    /// stood.</exception>
    public async Task<bool> SweepAsync(int pages, CancellationToken cancellationToken)
    {
        var (state, now) = await book.ReadStateAsync(cancellationToken);
        var settled = await book.ReadAsync(
            database => database.AirtableRows.AsNoTracking().Where(row => !row.IsUndone && row.RecordId != "").ToDictionaryAsync(row => row.RecordId, row => row.KeyId, cancellationToken),
            cancellationToken);
        // What is not known yet is taken in as one, in the order in which it was made.
        var (all, skipped, begin) = (new List<AirtableRecord>(), 0, review.Ask());
        DateTimeOffset? servedAt = null;
        string? offset = null;
        do
        {
            if (pages-- == 0)
                return false;

            var asked = review.Ask();
            var page = await client.ListAsync(offset, null, null, cancellationToken);
            servedAt ??= page.ServedAt;
            foreach (var record in page.Records)
                settled.Remove(record.Id);
            if (state.SweptAt is null)
                all.AddRange(page.Records);
            else
                await review.ReviewAsync(page.Records, asked, cancellationToken);
            offset = page.Offset;
        }
        while (offset is not null);

        foreach (var some in all.OrderBy(RecordMapper.CreatedAtOf).Chunk(ImportSize))
            skipped += (await review.ReviewAsync(some, begin, cancellationToken)).Count;
        // Polls begin here. The first looks at everything when something of it was skipped.
        var seenUntil = skipped > 0 ? null : servedAt;
        var vanished = await JudgeMissingAsync(settled, now, cancellationToken);
        if (vanished > 0 && state.Vanished == 0)
            await RecordVanishedAsync(vanished);
        await NoteAsync(
            set => set
                .SetProperty(known => known.SweptAt, now)
                // Polls have gone on meanwhile.
                .SetProperty(known => known.PolledAt, known => known.PolledAt == null || known.PolledAt < now ? now : known.PolledAt)
                .SetProperty(known => known.SeenUntil, known => known.SeenUntil ?? seenUntil)
                .SetProperty(known => known.Vanished, vanished),
            cancellationToken);
        return true;
    }

    /// <returns>From when on the next poll asks.</returns>
    private DateTimeOffset? SeenUntil(HashSet<string> skipped, DateTimeOffset? before, DateTimeOffset? now)
    {
        foreach (var seen in _skipped.Keys.Where(id => !skipped.Contains(id)).ToList())
            _skipped.Remove(seen);
        foreach (var id in skipped)
            _skipped.TryAdd(id, before);
        return _skipped.Count == 0 ? now : _skipped.ContainsValue(null) ? null : _skipped.Values.Min();
    }

    /// <returns>How many are missing, when these are too many to believe; else 0.</returns>
    private async Task<int> JudgeMissingAsync(Dictionary<string, KeyId> missing, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (missing.Count == 0)
            return 0;

        var (alive, over) = (0, new HashSet<KeyId>());
        foreach (var some in missing.Chunk(ImportSize))
        {
            KeyId[] ids = [.. some.Select(one => one.Value)];
            alive += await book.ReadAsync(database => database.Keys.WhereNotOver(now).CountAsync(key => ids.Contains(key.Id), cancellationToken), cancellationToken);
            var revoked = await book.ReadAsync(
                database => database.Keys.Where(key => ids.Contains(key.Id) && key.RevokedAt != null).Select(key => key.Id).ToListAsync(cancellationToken), cancellationToken);
            over.UnionWith(revoked);
            // Deleting the record of a revoked key changes nothing, so it does not count as vanished.
            await ForgetAsync(revoked, [.. some.Select(one => one.Key)], cancellationToken);
        }

        var rows = await book.ReadAsync(
            database => database.Keys.WhereNotOver(now)
                .CountAsync(key => database.AirtableRows.Any(row => row.KeyId == key.Id && !row.IsUndone && row.RecordId != ""), cancellationToken),
            cancellationToken);
        if (alive > Math.Max(FewMissing, MissingShare * rows))
            return alive;

        foreach (var (recordId, id) in missing.Where(one => !over.Contains(one.Value)))
        {
            try
            {
                if (await client.FindAsync(recordId, CallPriority.Background, cancellationToken) is null)
                    await LoseAsync(id, recordId);
            }
            catch (AirtableException exception)
            {
                // Nothing is known of this one. The next full read asks again.
                LogNotAsked(id, exception.Message);
            }
        }

        return 0;
    }

    /// <summary>Forgets the records of revoked keys. Later full reads do not miss them again.</summary>
    private Task<int> ForgetAsync(List<KeyId> ids, string[] recordIds, CancellationToken cancellationToken) => ids.Count == 0 ? Task.FromResult(0) : book.WriteAsync(
        (database, _) => database.AirtableRows
            .Where(row => ids.Contains(row.KeyId) && recordIds.Contains(row.RecordId))
            .ExecuteUpdateAsync(
                set => set.SetProperty(row => row.RecordId, "").SetProperty(row => row.IsDirty, false).SetProperty(row => row.Finding, (string?)null), cancellationToken),
        cancellationToken);

    private async Task LoseAsync(KeyId id, string recordId)
    {
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<SqlLedger>().TransactAsync(
            async change =>
            {
                var row = await change.Database.AirtableRows.FindAsync(id);
                if (row?.RecordId != recordId || await change.Database.AirtableIntents.AnyAsync(intent => intent.KeyId == id)
                    || await change.FindKeyAsync(id) is not { RevokedAt: null } key)
                {
                    return false;
                }

                row.MissingSweeps++;
                row.Finding = MissingReason;
                if (row.MissingSweeps == 1)
                {
                    // Without an event there is no seq from which on this holds.
                    if (key.Quarantine(MissingReason, []))
                        row.SettledSeq = change.FirstSeq;
                    LogMissing(id);
                    return true;
                }

                key.Revoke(Actor.SystemName, DeletedReason, int.MaxValue, change.Now);
                (row.RecordId, row.Finding, row.IsDirty, row.SettledSeq) = ("", null, false, change.FirstSeq);
                LogDeleted(id);
                return true;
            },
            CancellationToken.None);
    }

    private async Task RecordVanishedAsync(int count)
    {
        LogVanished(count);
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<SqlLedger>().ChangeAsync(
            change =>
            {
                change.Record(new KeyEvent(EventType.IntegrityViolation, VanishedReason, [FieldChange.Of("records_missing", null, count)]) { Outcome = "failure" });
                return Task.FromResult(true);
            },
            CancellationToken.None);
    }

    private Task<int> NoteAsync(Action<Microsoft.EntityFrameworkCore.Query.UpdateSettersBuilder<AirtableState>> set, CancellationToken cancellationToken) =>
        book.WriteAsync((database, _) => database.AirtableStates.ExecuteUpdateAsync(set, cancellationToken), cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The record of {KeyId} is missing in Airtable; the key is refused, and revoked if the next full read does not find it")]
    private partial void LogMissing(KeyId keyId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Whether the record of {KeyId} is there is not known: {Problem}")]
    private partial void LogNotAsked(KeyId keyId, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{KeyId} is revoked, because its record was deleted in Airtable")]
    private partial void LogDeleted(KeyId keyId);

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Count} records are missing in Airtable at once; nothing is revoked")]
    private partial void LogVanished(int count);
}
