using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Airtable;

/// <summary>A key's record as it was written.</summary>
/// <param name="RecordId">Empty when a key that is refused has lost its record, which is not made again.</param>
public sealed record WrittenRow(string RecordId, string Mac)
{
    public static WrittenRow None { get; } = new("", "");
}

/// <summary>What is known of a key's record before it is written.</summary>
public enum KnownRecord
{
    /// <summary>There is none yet.</summary>
    New,

    /// <summary>Its status is the one that is to be written. A manual revocation then shows in the answer.</summary>
    Right,

    /// <summary>Its status is read before anything is written.</summary>
    Unsure,
}

/// <summary>
/// Writes keys to their records. A new key's record is made without a MAC, so that it is not believed before it is
/// whole; its MAC names the record it lies in.
/// </summary>
/// <remarks>
/// Airtable cannot compare and write in one call, so what a person did a moment ago must not lie in a cell that is
/// written. The status is left out of a write unless it has to change, and the answer is looked at. A record that a
/// person has deleted is not made again.
/// </remarks>
public sealed class RecordWriter
{
    /// <summary>What a write of several says; of one alone it is 404.</summary>
    private const string GoneType = "ROW_DOES_NOT_EXIST";

    /// <summary>A person may change the status while it is written, but not for ever.</summary>
    private const int Attempts = 3;

    private readonly AirtableClient _client;
    private readonly RecordMapper _form;
    private readonly WriterLease _lease;
    private readonly WriteBatcher<JsonObject> _upserts;
    private readonly WriteBatcher<AirtableRecord> _changes;
    private readonly WriteBatcher<AirtableRecord> _repairs;
    private readonly ConcurrentDictionary<KeyId, int> _underRepair = new();
    private readonly ConcurrentDictionary<KeyId, long> _repaired = new();
    private long _count;

    public RecordWriter(AirtableClient client, RecordMapper form, WriterLease lease, TimeProvider clock)
    {
        (_client, _form, _lease) = (client, form, lease);
        _upserts = new(fields => client.UpsertAsync(fields, CallPriority.Change, CancellationToken.None), fields => ResponseReader.Text(fields[TableSchema.KeyId]), clock);
        _changes = new(records => client.UpdateAsync(records, CallPriority.Change, CancellationToken.None), record => record.Id, clock);
        _repairs = new(records => client.UpdateAsync(records, CallPriority.Background, CancellationToken.None), record => record.Id, clock);
    }

    /// <summary>Repairs that have ended since the start.</summary>
    public long Repairs => Interlocked.Read(ref _count);

    /// <summary>
    /// Is this key's record being repaired, or was it since there were so many repairs? Then what was read of it says
    /// nothing.
    /// </summary>
    public bool HasRepaired(KeyId id, long since) => _underRepair.ContainsKey(id) || (_repaired.TryGetValue(id, out var number) && number > since);

    /// <summary>To be held while a key's record is repaired, and until it is noted how that ended.</summary>
    public IDisposable BeginRepair(KeyId id) => new Repair(this, id);

    /// <summary>Writes a key as somebody who waits has changed it.</summary>
    /// <param name="recordId">Null for a key that has no record.</param>
    /// <returns>None when the record was deleted manually and the key is over or switched off.</returns>
    /// <exception cref="AirtableException">It was not written, or nobody knows. A person may have revoked the key or
    /// deleted its record, and neither is cancelled.</exception>
    public async Task<WrittenRow> WriteAsync(ApiKey key, string? recordId, KnownRecord standing)
    {
        DemandLease();
        if (await WriteAsync(key, recordId, standing, CallPriority.Change) is { } written)
            return written;
        return key.RevokedAt is not null || key.IsDisabled ? WrittenRow.None : throw DeletedByHand();
    }

    /// <summary>Writes a key again, as it is here; what waits for answers goes first.</summary>
    /// <param name="recordId">Null for a key that has no record.</param>
    /// <returns>Null when there is no such record any more: nothing is made, and what it means that it is gone is
    /// decided by the full reads.</returns>
    /// <exception cref="AirtableException">It was not written, or nobody knows; or a person has revoked the key, which
    /// is not cancelled.</exception>
    public Task<WrittenRow?> RepairAsync(ApiKey key, string? recordId)
    {
        DemandLease();
        return WriteAsync(key, recordId, KnownRecord.Unsure, CallPriority.Background);
    }

    /// <summary>Shows in a record when its key was last used.</summary>
    /// <exception cref="AirtableException">It was not written, or nobody knows.</exception>
    public Task ShowUseAsync(string recordId, DateTimeOffset lastUsedAt)
    {
        DemandLease();
        return _repairs.RunAsync(new AirtableRecord(recordId, new JsonObject { [TableSchema.LastUsed] = Domain.Ledger.Rfc3339.Format(lastUsedAt) }));
    }

    /// <returns>Null when there is no such record.</returns>
    private async Task<WrittenRow?> WriteAsync(ApiKey key, string? recordId, KnownRecord standing, CallPriority urgency)
    {
        var fence = _lease.Fence;
        if (recordId is null)
            return await MakeAsync(key, standing == KnownRecord.New, fence, urgency);
        if (key.RevokedAt is not null)
            return await TryUpdateAsync(key, recordId, null, fence, urgency);
        if (standing == KnownRecord.Right)
            return await TryUpdateAsync(key, recordId, RecordMapper.StatusOf(key), fence, urgency);

        return await _client.FindAsync(recordId, urgency, CancellationToken.None) is { } found
            ? await TryUpdateAsync(key, recordId, StatusIn(found), fence, urgency)
            : null;
    }

    /// <param name="isNew">Can there be no record of the key? Else one that is found may be revoked manually already,
    /// so its status is not written over.</param>
    private async Task<WrittenRow> MakeAsync(ApiKey key, bool isNew, long fence, CallPriority urgency)
    {
        var fields = RecordMapper.FieldsOf(key);
        if (!isNew && key.RevokedAt is null)
            fields.Remove(TableSchema.Status);
        var made = await _upserts.RunAsync(fields);
        try
        {
            var status = key.RevokedAt is null ? StatusIn(made) : null;
            return await TryUpdateAsync(key, made.Id, status, fence, urgency) ?? throw DeletedByHand();
        }
        catch (AirtableException exception) when (exception.Fate == DeliveryState.NotSent && (isNew || exception.RevokedRecord is null))
        {
            // The first half was.
            throw new AirtableException("a record was made and not finished", DeliveryState.Unknown, exception);
        }
    }

    /// <param name="status">What the record says now, as far as is known; null to write the status whatever it
    /// is.</param>
    /// <returns>Null when there is no such record.</returns>
    private async Task<WrittenRow?> TryUpdateAsync(ApiKey key, string recordId, string? status, long fence, CallPriority urgency)
    {
        var (mac, meant) = (_form.Sign(RecordMapper.FieldsOf(key), recordId, fence), RecordMapper.StatusOf(key));
        try
        {
            for (var attempt = 1; attempt <= Attempts; attempt++)
            {
                var fields = RecordMapper.FieldsOf(key);
                if (status == meant)
                    fields.Remove(TableSchema.Status);
                fields[TableSchema.Mac] = mac;
                var written = await (urgency == CallPriority.Change ? _changes : _repairs).RunAsync(new AirtableRecord(recordId, fields));
                if (RecordMapper.MacOf(written) == mac && _form.IsOurs(written))
                    return new WrittenRow(recordId, mac);

                status = key.RevokedAt is null ? StatusIn(written) : RecordMapper.StatusIn(written);
                // Else somebody has changed the status since it was looked at.
                if (status == meant)
                    break;
            }
        }
        catch (AirtableException exception) when (IsGone(exception))
        {
            return null;
        }

        throw new AirtableException("a record does not hold what was written to it", DeliveryState.Unknown) { IsNotHeld = true };
    }

    /// <summary>
    /// What the record of a key that is not revoked says; that it is revoked ends every attempt to write it.
    /// </summary>
    private static string StatusIn(AirtableRecord record) =>
        RecordMapper.SaysRevoked(record) ? throw RevokedByHand(record) : RecordMapper.StatusIn(record) ?? "";

    // The next review revokes the key. The record is then written again, with it whatever part of this change it holds.
    private static AirtableException RevokedByHand(AirtableRecord record) =>
        new("the key was revoked there manually a moment ago", DeliveryState.NotSent) { RevokedRecord = record };

    private static AirtableException DeletedByHand() =>
        new("the record of the key was deleted there manually; restore it, or revoke the key", DeliveryState.NotSent);

    private void DemandLease()
    {
        if (!_lease.IsHeld)
            throw new AirtableException("another node has the right to call", DeliveryState.NotSent);
    }

    private static bool IsGone(AirtableException exception) => ResponseReader.IsMissingRecord(exception) || exception.ErrorType == GoneType;

    private sealed class Repair : IDisposable
    {
        private readonly RecordWriter _writer;
        private readonly KeyId _id;

        public Repair(RecordWriter writer, KeyId id)
        {
            (_writer, _id) = (writer, id);
            writer._underRepair.AddOrUpdate(id, 1, (_, running) => running + 1);
        }

        // First what a look that began before it is told by, then that it has ended.
        public void Dispose()
        {
            _writer._repaired[_id] = Interlocked.Increment(ref _writer._count);
            if (_writer._underRepair.AddOrUpdate(_id, 0, (_, running) => running - 1) == 0)
                _writer._underRepair.TryRemove(KeyValuePair.Create(_id, 0));
        }
    }
}
