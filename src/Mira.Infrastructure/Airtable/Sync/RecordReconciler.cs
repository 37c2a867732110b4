using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Looks through records that were read, and does what each calls for. What changes a key is decided again under the
/// ledger's lock.
/// </summary>
public sealed partial class RecordReconciler(
    MirrorStore book, RecordComparison judgement, AirtableClient client, RecordWriter writer, LedgerPoller poller, AggregatedEvents gathered,
    IServiceScopeFactory scopes, ILogger<RecordReconciler> log)
{
    private const string ImportReason = "found in Airtable";
    private const string RevokedReason = "set to revoked in Airtable";
    private const string RestoredReason = "row_restored";
    private const string UnreadableReason = "row_unreadable";

    // Told once for as long as they stay as they are, not at each look.
    private readonly ConcurrentDictionary<string, string> _told = new();

    /// <summary>To be taken before records are asked for: what is written after that, they may not show.</summary>
    public RepairRequest Ask() => new(poller.Seen.Seq, writer.Repairs);

    /// <summary>
    /// One record that cannot be dealt with is told of, and does not keep the others from being looked at.
    /// </summary>
    /// <returns>The ids of those that are to be looked at again, because a change of their keys is on its
    /// way.</returns>
    /// <exception cref="StoreUnavailableException">The database cannot be read.</exception>
    /// <exception cref="LedgerUnavailableException">What was found could not be recorded.</exception>
    public async Task<IReadOnlyList<string>> ReviewAsync(IReadOnlyList<AirtableRecord> records, RepairRequest asked, CancellationToken cancellationToken)
    {
        var found = await IdentifyAsync(records, cancellationToken);
        foreach (var (record, id) in found.Where(one => one.Record.IsUnreadable))
            await MarkUnreadableAsync(record, id);
        foreach (var record in records.Where(record => record.IsUnreadable && found.TrueForAll(one => one.Record != record)))
            Tell(record, null, UnreadableReason);
        found.RemoveAll(one => one.Record.IsUnreadable);
        if (found.Count == 0)
            return [];

        var known = await book.ReadAsync(database => LoadAsync(database.Keys.AsNoTracking(), database, found, asked, cancellationToken), cancellationToken);
        var (changes, moving) = (new List<(AirtableRecord Record, KeyId Id)>(), new List<string>());
        foreach (var (record, id) in found)
        {
            switch (known.Judge(judgement, record, id))
            {
                case RecordDifference.Right:
                    break;
                case RecordDifference.Moving:
                    moving.Add(record.Id);
                    break;
                case RecordDifference.Copy:
                    Tell(record, id, "row_copied");
                    break;
                case RecordDifference.Forged:
                    Tell(record, null, "row_without_key");
                    break;
                case RecordDifference.Undone:
                    await RemoveAsync(record, moving, cancellationToken);
                    break;
                case RecordDifference.Unknown:
                case RecordDifference.Stale:
                case RecordDifference.Found:
                case RecordDifference.Revoked:
                case RecordDifference.Edited:
                case RecordDifference.EditedAfterwards:
                case RecordDifference.Restored:
                    changes.Add((record, id));
                    break;
            }
        }

        if (changes.Count > 0)
            await ApplyAsync(changes, asked, moving);
        return moving;
    }

    private async Task RemoveAsync(AirtableRecord record, List<string> again, CancellationToken cancellationToken)
    {
        try
        {
            await client.DeleteAsync(record.Id, cancellationToken);
        }
        catch (AirtableException exception)
        {
            LogNotRemoved(record.Id, exception.Message);
            again.Add(record.Id);
        }
    }

    /// <summary>
    /// Whose each is: a record that was resolved is its key's, whatever is written in it. What is neither is nobody's
    /// business.
    /// </summary>
    private async Task<List<(AirtableRecord Record, KeyId Id)>> IdentifyAsync(IReadOnlyList<AirtableRecord> records, CancellationToken cancellationToken)
    {
        string[] recordIds = [.. records.Select(record => record.Id)];
        var settled = await book.ReadAsync(
            database => database.AirtableRows.Where(row => recordIds.Contains(row.RecordId)).ToDictionaryAsync(row => row.RecordId, row => row.KeyId, cancellationToken),
            cancellationToken);
        var found = new List<(AirtableRecord, KeyId)>();
        foreach (var record in records)
        {
            if (settled.TryGetValue(record.Id, out var owner))
                found.Add((record, owner));
            else if (RecordMapper.KeyIdOf(record) is { } named)
                found.Add((record, named));
        }

        return found;
    }

    // A record that cannot be read says nothing about its key, so the key stays as it was resolved last.
    private async Task MarkUnreadableAsync(AirtableRecord record, KeyId id)
    {
        Tell(record, id, UnreadableReason);
        await book.WriteAsync(
            (database, _) => database.AirtableRows.Where(row => row.KeyId == id && row.RecordId == record.Id && row.Finding == null)
                .ExecuteUpdateAsync(set => set.SetProperty(row => row.Finding, UnreadableReason), CancellationToken.None),
            CancellationToken.None);
    }

    private void Tell(AirtableRecord record, KeyId? subject, string reason)
    {
        var content = record.Fields.ToJsonString();
        if (_told.TryGetValue(record.Id, out var told) && told == content)
            return;

        _told[record.Id] = content;
        gathered.Note(new EventGroup(EventType.IntegrityViolation, reason) { Subject = subject?.Value }, record, _ => Actor.System);
        LogStranger(record.Id, reason);
    }

    // When they cannot be applied together, each is applied alone, so that only the one at fault fails.
    private async Task ApplyAsync(List<(AirtableRecord Record, KeyId Id)> changes, RepairRequest asked, List<string> moving)
    {
        try
        {
            await ApplyTogetherAsync(changes, asked, moving);
        }
        catch (Exception exception) when (exception is not (LedgerUnavailableException or StoreUnavailableException or OverloadedException or OperationCanceledException))
        {
            foreach (var one in changes.Count > 1 ? changes : [])
                await ApplyAsync([one], asked, moving);
            if (changes is [var (record, id)])
            {
                LogUnreadable(exception, record.Id);
                await MarkUnreadableAsync(record, id);
            }
        }
    }

    private async Task ApplyTogetherAsync(List<(AirtableRecord Record, KeyId Id)> changes, RepairRequest asked, List<string> moving)
    {
        await using var scope = scopes.CreateAsyncScope();
        moving.AddRange(await scope.ServiceProvider.GetRequiredService<SqlLedger>().TransactAsync(
            async change =>
            {
                var known = await LoadAsync(change.Database.Keys, change.Database, changes, asked, CancellationToken.None);
                var skipped = new List<string>();
                // In the order in which they were made, for that is how they are listed.
                foreach (var (record, id) in changes)
                {
                    var finding = known.Judge(judgement, record, id);
                    if (finding == RecordDifference.Moving)
                        skipped.Add(record.Id);
                    else
                        Apply(change, known, record, id, finding);
                }

                return skipped;
            },
            CancellationToken.None));
    }

    private void Apply(SqlLedgerChange change, Known known, AirtableRecord record, KeyId id, RecordDifference finding)
    {
        var (key, row) = (known.Keys.GetValueOrDefault(id), known.Rows.GetValueOrDefault(id));
        switch (finding)
        {
            case RecordDifference.Unknown:
                Import(change, known, record, id);
                break;
            case RecordDifference.Stale:
                (row!.IsDirty, row.RecordId) = (true, record.Id);
                break;
            case RecordDifference.Found:
                (row!.Finding, row.MissingSweeps) = (null, 0);
                break;
            case RecordDifference.Revoked:
                // Whoever may write there ends any key, the last admin's too.
                key!.Revoke(Actor.SystemName, RevokedReason, int.MaxValue, change.Now);
                (row!.IsDirty, row.RecordId, row.Finding, row.SettledSeq) = (true, record.Id, null, change.FirstSeq);
                LogRevoked(id);
                break;
            case RecordDifference.Edited:
                if (key!.Quarantine(RecordComparison.EditedReason, RecordMapper.Differences(RecordMapper.FieldsOf(key), record.Fields)))
                    row!.SettledSeq = change.FirstSeq;
                (row!.Finding, row.MissingSweeps) = (RecordComparison.EditedReason, 0);
                LogEdited(id);
                break;
            case RecordDifference.EditedAfterwards:
                change.Record(new PendingEvent(EventType.IntegrityViolation, Actor.System, id.Value, null)
                {
                    Outcome = "failure",
                    Reason = RecordComparison.EditedReason,
                    Changes = RecordMapper.Differences(RecordMapper.FieldsOf(key!), record.Fields),
                });
                (row!.IsDirty, row.SettledSeq) = (true, change.FirstSeq);
                break;
            case RecordDifference.Restored:
                // Without an event there is no seq from which on this holds.
                row!.SettledSeq = key!.IsQuarantined ? change.FirstSeq : row.SettledSeq;
                key.Release(RestoredReason);
                (row.Finding, row.MissingSweeps) = (null, 0);
                LogRestored(id);
                break;
            // Nothing of these is stored: they were handled before.
            case RecordDifference.Right:
            case RecordDifference.Moving:
            case RecordDifference.Copy:
            case RecordDifference.Forged:
            case RecordDifference.Undone:
                break;
        }
    }

    private void Import(SqlLedgerChange change, Known known, AirtableRecord record, KeyId id)
    {
        // Of two records with a MAC each for its own place, which only a copied database can make, the first counts.
        if (known.Keys.ContainsKey(id))
            return;

        try
        {
            var key = ApiKey.Import(RecordMapper.Read(record), ImportReason);
            var row = new RecordState { KeyId = id, RecordId = record.Id, Mac = RecordMapper.MacOf(record)!, SettledSeq = change.FirstSeq, LastUsedAt = key.LastUsedAt };
            change.Database.Keys.Add(key);
            if (known.Rows.ContainsKey(id))
                change.Database.AirtableRows.Update(row);
            else
                change.Database.AirtableRows.Add(row);
            (known.Keys[id], known.Rows[id]) = (key, row);
        }
        catch (FormatException exception)
        {
            LogUnreadable(exception, record.Id);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The record {RecordId} in Airtable is no key's and counts for nothing ({Reason})")]
    private partial void LogStranger(string recordId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The record of {KeyId} was changed in Airtable manually; the key is refused until it is changed through Mira")]
    private partial void LogEdited(KeyId keyId);

    [LoggerMessage(Level = LogLevel.Information, Message = "{KeyId} was revoked in Airtable")]
    private partial void LogRevoked(KeyId keyId);

    [LoggerMessage(Level = LogLevel.Information, Message = "The record of {KeyId} is as it was; the key is allowed again")]
    private partial void LogRestored(KeyId keyId);

    [LoggerMessage(Level = LogLevel.Error, Message = "The record {RecordId} in Airtable cannot be read as a key")]
    private partial void LogUnreadable(Exception exception, string recordId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The record {RecordId} in Airtable is to be deleted and is still there: {Problem}")]
    private partial void LogNotRemoved(string recordId, string problem);

    private async Task<Known> LoadAsync(
        IQueryable<ApiKey> keys, MiraDbContext database, IReadOnlyList<(AirtableRecord Record, KeyId Id)> found, RepairRequest asked, CancellationToken cancellationToken)
    {
        KeyId[] ids = [.. found.Select(one => one.Id).Distinct()];
        var rows = await database.AirtableRows.Where(row => ids.Contains(row.KeyId)).ToDictionaryAsync(row => row.KeyId, cancellationToken);
        return new Known(
            await keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).Where(key => ids.Contains(key.Id)).ToDictionaryAsync(key => key.Id, cancellationToken),
            rows,
            [
                .. await database.AirtableIntents.Where(intent => ids.Contains(intent.KeyId)).Select(intent => intent.KeyId).ToListAsync(cancellationToken),
                .. rows.Values.Where(row => row.SettledSeq > asked.Seq || writer.HasRepaired(row.KeyId, asked.Repairs)).Select(row => row.KeyId),
            ]);
    }

    /// <summary>What this ledger knows of the keys that records name.</summary>
    /// <param name="Moving">Those of which the records may be old.</param>
    private sealed record Known(Dictionary<KeyId, ApiKey> Keys, Dictionary<KeyId, RecordState> Rows, HashSet<KeyId> Moving)
    {
        public RecordDifference Judge(RecordComparison judgement, AirtableRecord record, KeyId id) =>
            judgement.Judge(record, Rows.GetValueOrDefault(id), Keys.GetValueOrDefault(id), Moving.Contains(id));
    }
}

/// <summary>How far this node was when it asked for records.</summary>
/// <param name="Seq">Of the ledger.</param>
/// <param name="Repairs">Records it had repaired.</param>
public readonly record struct RepairRequest(long Seq, long Repairs);
