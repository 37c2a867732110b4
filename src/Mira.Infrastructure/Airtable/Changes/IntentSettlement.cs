using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// How an intent ends: what was meant is committed to keys, rows, ledger and stored responses in one transaction, or is
/// taken back.
/// </summary>
internal static class IntentSettlement
{
    /// <summary>
    /// The outcome of an event that stands for a change that was taken back after it may have been seen in Airtable.
    /// </summary>
    public const string Undone = "undone";

    /// <summary>Makes true what was meant.</summary>
    /// <param name="written">Where it lies in Airtable; null when it is still to be written there.</param>
    public static async Task CompleteAsync(SqlLedgerChange change, IReadOnlyList<AirtableIntent> intents, IReadOnlyDictionary<KeyId, WrittenRow>? written)
    {
        foreach (var intent in intents)
        {
            var meant = JsonSerializer.Deserialize<KeyRecord>(intent.Record)!;
            await PutAsync(change.Database, meant);
            var row = await RowAsync(change.Database, intent.KeyId);
            row.SettledSeq = change.FirstSeq;
            row.IsUndone = false;
            Note(row, written?[intent.KeyId], isOver: meant.RevokedAt is not null);
            if (intent is { AnswerCaller: { } caller, AnswerKey: { } key, AnswerFingerprint: { } fingerprint, Answer: { } answer })
                change.Database.Answers.Add(new StoredResponseRow { Caller = caller, Key = key, Fingerprint = fingerprint, Answer = answer, At = change.Now });
            foreach (var draft in DraftsOf(intent))
                change.Record(draft);
        }

        change.Database.AirtableIntents.RemoveRange(intents);
    }

    /// <summary>
    /// Takes back what may have been seen in Airtable already: there it is written over, or deleted when it turns up.
    /// </summary>
    public static async Task UndoAsync(SqlLedgerChange change, IReadOnlyList<AirtableIntent> intents)
    {
        foreach (var intent in intents)
        {
            var row = await RowAsync(change.Database, intent.KeyId);
            var exists = await change.Database.Keys.AnyAsync(key => key.Id == intent.KeyId);
            row.SettledSeq = change.FirstSeq;
            (row.IsUndone, row.IsDirty) = (!exists, exists);
            foreach (var draft in DraftsOf(intent))
                change.Record(draft with { Outcome = Undone, Subject = exists ? draft.Subject : null });
        }

        change.Database.AirtableIntents.RemoveRange(intents);
    }

    private static void Note(RecordState row, WrittenRow? written, bool isOver)
    {
        // Whether a record that was missing is back shows when it is written.
        var isMissing = row.Finding == TablePoller.MissingReason && !isOver;
        if (written == WrittenRow.None && !isOver)
            (row.IsDirty, row.Finding) = (true, TablePoller.MissingReason);
        else if (written is not null)
            (row.RecordId, row.Mac, row.IsDirty, row.Finding, row.MissingSweeps) = (written.RecordId, written.Mac, false, null, 0);
        else
            (row.IsDirty, row.Finding, row.MissingSweeps) = (true, isMissing ? row.Finding : null, isMissing ? row.MissingSweeps : 0);
    }

    private static PendingEvent[] DraftsOf(AirtableIntent intent) => JsonSerializer.Deserialize<PendingEvent[]>(intent.Events)!;

    private static async Task<RecordState> RowAsync(MiraDbContext database, KeyId id)
    {
        if (await database.AirtableRows.FindAsync(id) is { } known)
            return known;

        var row = new RecordState { KeyId = id, RecordId = "", Mac = "" };
        database.AirtableRows.Add(row);
        return row;
    }

    // Followed as the store loaded it, so that only what differs is written. The use that was flushed meanwhile stays.
    private static async Task PutAsync(MiraDbContext database, KeyRecord record)
    {
        var meant = record.ToKey();
        var stored = await database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).SingleOrDefaultAsync(key => key.Id == meant.Id);
        if (stored is null)
        {
            database.Keys.Add(meant);
            return;
        }

        database.Entry(stored).CurrentValues.SetValues(meant);
        var before = stored.Secrets.ToDictionary(secret => secret.Version);
        foreach (var secret in meant.Secrets)
        {
            if (before.Remove(secret.Version, out var old))
            {
                var lastUsed = secret.LastUsedAt > old.LastUsedAt ? secret.LastUsedAt : old.LastUsedAt ?? secret.LastUsedAt;
                var entry = database.Entry(old);
                entry.CurrentValues.SetValues(secret);
                entry.Property(known => known.LastUsedAt).CurrentValue = lastUsed;
                continue;
            }

            var added = database.Entry(secret);
            added.Property(SecretColumns.KeyId).CurrentValue = meant.Id;
            added.State = EntityState.Added;
        }

        database.Secrets.RemoveRange(before.Values);
    }
}
