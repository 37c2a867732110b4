using System.Net;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// What is done beside the calls by the node that has the lease: changes whose outcome is unknown are resolved, records
/// are repaired and show their keys' last use.
/// </summary>
public sealed partial class RecordRepairs(
    MirrorStore book, WriterLease lease, RecordWriter writer, RecordReconciler review, AirtableClient client, RecordMapper form, LedgerPollerOptions following,
    IServiceScopeFactory scopes, ILogger<RecordRepairs> log)
{
    /// <summary>Airtable refuses to take the record; tried again after each full read.</summary>
    private const string UnwritableFinding = "row_unwritable";

    /// <summary>Records written in one go; the rest comes with the next.</summary>
    private const int MostRepairs = 50;

    private const int MostUses = 500;

    /// <summary>
    /// Resolves what nobody answers for any more. A creation or rotation is cancelled, because its token was never
    /// sent; a revocation or disabling is completed; another change takes what Airtable holds.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The database cannot be read.</exception>
    /// <exception cref="LedgerUnavailableException">The database cannot be written.</exception>
    public async Task SettleAsync(CancellationToken cancellationToken)
    {
        // With one node, what another process began has nobody who could end it.
        var isAlone = !following.IsShared;
        var overdue = await book.ReadAsync(
            (database, now) => database.AirtableIntents.AsNoTracking()
                .Where(intent => intent.State == IntentState.Unknown || intent.Deadline <= now || (isAlone && intent.Owner != lease.Node))
                .ToListAsync(cancellationToken),
            cancellationToken);
        foreach (var operation in overdue.GroupBy(intent => intent.Operation))
            await SettleAsync(operation.Key, [.. operation], cancellationToken);
    }

    /// <summary>
    /// Writes records again that are not what is true. One that is missing is left to the full reads.
    /// </summary>
    /// <exception cref="AirtableException">Airtable does not answer.</exception>
    public async Task RepairAsync(CancellationToken cancellationToken)
    {
        var broken = await book.ReadAsync(
            database => (from row in database.AirtableRows.AsNoTracking()
                         where row.IsDirty && row.Finding != UnwritableFinding && row.Finding != TablePoller.MissingReason && !database.AirtableIntents.Any(intent => intent.KeyId == row.KeyId)
                         join key in database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)) on row.KeyId equals key.Id
                         select new { row, key }).Take(MostRepairs).ToListAsync(cancellationToken),
            cancellationToken);
        await Task.WhenAll(broken.Select(one => RepairAsync(one.row, one.key)));
    }

    /// <summary>
    /// Gives a record to each key that has none, as when the store was another one before; and another attempt to what
    /// was refused.
    /// </summary>
    /// <exception cref="LedgerUnavailableException">The database cannot be written.</exception>
    public Task<bool> AdoptAsync(CancellationToken cancellationToken) => book.WriteAsync(
        async (database, _) =>
        {
            await database.AirtableRows.Where(row => row.Finding == UnwritableFinding)
                .ExecuteUpdateAsync(set => set.SetProperty(row => row.Finding, (string?)null), cancellationToken);
            var homeless = await database.Keys
                .Where(key => !database.AirtableRows.Any(row => row.KeyId == key.Id) && !database.AirtableIntents.Any(intent => intent.KeyId == key.Id))
                .Select(key => key.Id).ToListAsync(cancellationToken);
            database.AirtableRows.AddRange(homeless.Select(id => new RecordState { KeyId = id, RecordId = "", Mac = "", IsDirty = true }));
            if (homeless.Count > 0)
                LogAdopted(homeless.Count);
            return true;
        },
        cancellationToken);

    /// <summary>Shows in the records when keys were last used, where that has changed.</summary>
    /// <exception cref="AirtableException">Airtable does not answer.</exception>
    public async Task ShowUseAsync(CancellationToken cancellationToken)
    {
        var used = await book.ReadAsync(
            database => (from row in database.AirtableRows.AsNoTracking()
                         where !row.IsUndone && !row.IsDirty && row.RecordId != "" && row.MissingSweeps == 0
                         let last = database.Secrets.Where(secret => EF.Property<KeyId>(secret, SecretColumns.KeyId) == row.KeyId).Max(secret => secret.LastUsedAt)
                         where last != null && (row.LastUsedAt == null || row.LastUsedAt < last)
                         select new { row.KeyId, row.RecordId, Last = last }).Take(MostUses).ToListAsync(cancellationToken),
            cancellationToken);
        await Task.WhenAll(used.Select(async one =>
        {
            await writer.ShowUseAsync(one.RecordId, one.Last!.Value);
            await book.WriteAsync(
                (database, _) => database.AirtableRows.Where(row => row.KeyId == one.KeyId)
                    .ExecuteUpdateAsync(set => set.SetProperty(row => row.LastUsedAt, one.Last), CancellationToken.None),
                CancellationToken.None);
        }));
    }

    private async Task RepairAsync(RecordState row, ApiKey key)
    {
        var asked = review.Ask();
        AirtableRecord revoked;
        using (writer.BeginRepair(key.Id))
        {
            try
            {
                var written = await writer.RepairAsync(key, row.RecordId.Length > 0 ? row.RecordId : null);
                if (await NoteRepairAsync(row, written, isOver: key.RevokedAt is not null) == 0)
                    await MarkDirtyAsync(key.Id);
                return;
            }
            catch (AirtableException exception) when (exception.RevokedRecord is not null)
            {
                await MarkDirtyAsync(key.Id);
                revoked = exception.RevokedRecord;
            }
            catch (AirtableException exception) when (IsOfTheRecord(exception))
            {
                LogUnwritable(row.KeyId, exception.Message);
                await book.WriteAsync(
                    (database, _) => database.AirtableRows.Where(known => known.KeyId == row.KeyId && known.Finding == null)
                        .ExecuteUpdateAsync(set => set.SetProperty(known => known.Finding, UnwritableFinding), CancellationToken.None),
                    CancellationToken.None);
                return;
            }
        }

        // At once, and not with the next poll: until then this repair would be tried again and again.
        await review.ReviewAsync([revoked], asked with { Repairs = writer.Repairs }, CancellationToken.None);
    }

    /// <summary>
    /// Airtable refuses this record, or does not hold what it is given, and will do so a moment later too.
    /// </summary>
    private static bool IsOfTheRecord(AirtableException exception) =>
        exception.IsNotHeld || exception is { Fate: DeliveryState.NotSent, Status: not null and not HttpStatusCode.TooManyRequests, IsPassing: false };

    // The repair may have written over a change that was resolved meanwhile. A dirty record is written again and not
    // taken for one that a person edited.
    private Task<int> MarkDirtyAsync(KeyId id) => book.WriteAsync(
        (database, _) => database.AirtableRows.Where(row => row.KeyId == id && !row.IsDirty && !row.IsUndone)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.IsDirty, true), CancellationToken.None),
        CancellationToken.None);

    private Task<int> NoteRepairAsync(RecordState row, WrittenRow? written, bool isOver)
    {
        var (isDirty, recordId, mac, finding) = (written, isOver) switch
        {
            ({ } made, _) => (false, made.RecordId, made.Mac, row.Finding),
            // A key that is over need not have a record.
            (null, true) => (false, "", "", null),
            (null, false) => (true, row.RecordId, row.Mac, TablePoller.MissingReason),
        };
        // Only if nothing newer was resolved meanwhile.
        return book.WriteAsync(
            (database, _) => database.AirtableRows
                .Where(known => known.KeyId == row.KeyId && known.Mac == row.Mac && known.SettledSeq == row.SettledSeq && known.IsDirty)
                .ExecuteUpdateAsync(
                    set => set
                        .SetProperty(known => known.IsDirty, isDirty).SetProperty(known => known.RecordId, recordId)
                        .SetProperty(known => known.Mac, mac).SetProperty(known => known.Finding, finding),
                    CancellationToken.None),
            CancellationToken.None);
    }

    private async Task SettleAsync(Guid operation, List<AirtableIntent> intents, CancellationToken cancellationToken)
    {
        Dictionary<KeyId, WrittenRow>? held = null;
        if (intents.TrueForAll(intent => intent.Kind == IntentKind.Update))
        {
            try
            {
                held = await FindHeldAsync(intents, cancellationToken);
            }
            catch (AirtableException exception)
            {
                LogUnsettled(intents[0].KeyId, exception.Message);
                return;
            }
        }

        var isCompleted = held is not null || intents.TrueForAll(intent => intent.Kind == IntentKind.End);
        await using var scope = scopes.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<SqlLedger>().TransactAsync(
            async change =>
            {
                var left = await change.Database.AirtableIntents.Where(intent => intent.Operation == operation).ToListAsync(CancellationToken.None);
                if (isCompleted)
                    await IntentSettlement.CompleteAsync(change, left, held);
                else
                    await IntentSettlement.UndoAsync(change, left);
                return true;
            },
            CancellationToken.None);
        LogSettled(intents[0].KeyId, isCompleted ? "completed" : "undone");
    }

    /// <returns>Null when Airtable does not hold what was meant.</returns>
    private async Task<Dictionary<KeyId, WrittenRow>?> FindHeldAsync(List<AirtableIntent> intents, CancellationToken cancellationToken)
    {
        var held = new Dictionary<KeyId, WrittenRow>();
        foreach (var intent in intents)
        {
            var row = await book.ReadAsync(
                database => database.AirtableRows.AsNoTracking().SingleOrDefaultAsync(known => known.KeyId == intent.KeyId, cancellationToken), cancellationToken);
            if (row is null or { RecordId: "" }
                || await client.FindAsync(row.RecordId, CallPriority.Change, cancellationToken) is not { } record
                || !form.IsOurs(record)
                || !RecordMapper.AreEqual(RecordMapper.FieldsOf(JsonSerializer.Deserialize<KeyRecord>(intent.Record)!.ToKey()), record.Fields))
            {
                return null;
            }

            held[intent.KeyId] = new WrittenRow(record.Id, RecordMapper.MacOf(record)!);
        }

        return held;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} keys have no record in Airtable yet and get one")]
    private partial void LogAdopted(int count);

    [LoggerMessage(Level = LogLevel.Error, Message = "The record of {KeyId} is refused. {Problem}")]
    private partial void LogUnwritable(KeyId keyId, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A change of {KeyId} whose outcome was unknown is {Outcome}")]
    private partial void LogSettled(KeyId keyId, string outcome);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A change of {KeyId} cannot be resolved yet. {Problem}")]
    private partial void LogUnsettled(KeyId keyId, string problem);
}
