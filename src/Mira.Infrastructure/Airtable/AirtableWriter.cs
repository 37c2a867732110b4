using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Airtable;

/// <summary>A key's record as it was written.</summary>
public sealed record WrittenRow(string RecordId, string Mac);

/// <summary>Writes keys to their records. A new key's record is made without a MAC, so that it is not believed before it is whole; its MAC names the record it lies in.</summary>
public sealed class AirtableWriter
{
    /// <summary>What a write of several says; of one alone it is 404.</summary>
    private const string GoneType = "ROW_DOES_NOT_EXIST";

    private readonly AirtableClient _client;
    private readonly AirtableForm _form;
    private readonly AirtableLease _lease;
    private readonly AirtableBatch<JsonObject> _upserts;
    private readonly AirtableBatch<AirtableRecord> _changes;
    private readonly AirtableBatch<AirtableRecord> _repairs;
    private readonly ConcurrentDictionary<KeyId, long> _repaired = new();
    private long _count;

    public AirtableWriter(AirtableClient client, AirtableForm form, AirtableLease lease, TimeProvider clock)
    {
        (_client, _form, _lease) = (client, form, lease);
        _upserts = new(fields => client.UpsertAsync(fields, AirtableUrgency.Change, CancellationToken.None), clock);
        _changes = new(records => client.UpdateAsync(records, AirtableUrgency.Change, CancellationToken.None), clock);
        _repairs = new(records => client.UpdateAsync(records, AirtableUrgency.Background, CancellationToken.None), clock);
    }

    /// <summary>Records put right since the start.</summary>
    public long Repairs => Interlocked.Read(ref _count);

    /// <summary>Was this key's record put right since there were so many?</summary>
    public bool HasRepaired(KeyId id, long since) => _repaired.TryGetValue(id, out var number) && number > since;

    /// <summary>Writes a key as somebody who waits has changed it.</summary>
    /// <param name="recordId">Null for a key that has no record.</param>
    /// <param name="keepsStatus">Is the status what the record was settled with? Then it is left alone, and a revocation by hand shows in the answer.</param>
    /// <exception cref="AirtableException">It was not written, or nobody knows.</exception>
    public Task<WrittenRow> WriteAsync(ApiKey key, string? recordId, bool keepsStatus) => WriteAsync(key, recordId, keepsStatus, AirtableUrgency.Change);

    /// <summary>Writes a key again, as it is here; what waits for answers goes first.</summary>
    /// <param name="recordId">Null for a key that has no record.</param>
    /// <exception cref="AirtableException">It was not written, or nobody knows.</exception>
    public async Task<WrittenRow> RepairAsync(ApiKey key, string? recordId)
    {
        var written = await WriteAsync(key, recordId, keepsStatus: false, AirtableUrgency.Background);
        _repaired[key.Id] = Interlocked.Increment(ref _count);
        return written;
    }

    /// <summary>Shows in a record when its key was last used.</summary>
    /// <exception cref="AirtableException">It was not written, or nobody knows.</exception>
    public Task ShowUseAsync(string recordId, DateTimeOffset lastUsedAt)
    {
        DemandLease();
        return _repairs.RunAsync(new AirtableRecord(recordId, new JsonObject { [AirtableSchema.LastUsed] = Domain.Ledger.Rfc3339.Format(lastUsedAt) }));
    }

    private async Task<WrittenRow> WriteAsync(ApiKey key, string? recordId, bool keepsStatus, AirtableUrgency urgency)
    {
        DemandLease();
        var fence = _lease.Fence;
        if (recordId is not null && await TryUpdateAsync(key, recordId, keepsStatus, fence, urgency) is { } updated)
            return updated;

        // It has none, or a person has deleted it; what is changed here is to be there all the same.
        var made = await _upserts.RunAsync(AirtableForm.FieldsOf(key));
        try
        {
            return await TrySealAsync(AirtableForm.FieldsOf(key), [], made.Id, fence, urgency) is { IsOurs: true } sealedRow ? sealedRow.Row : throw NotAsWritten();
        }
        catch (AirtableException exception) when (exception.Fate == AirtableFate.NotSent)
        {
            // The first half was.
            throw new AirtableException("a record was made and not finished", AirtableFate.Unknown, exception);
        }
    }

    /// <returns>Null when there is no such record.</returns>
    private async Task<WrittenRow?> TryUpdateAsync(ApiKey key, string recordId, bool keepsStatus, long fence, AirtableUrgency urgency)
    {
        if (!keepsStatus && key.RevokedAt is null)
        {
            // Written over it would be gone, and that a person ends a key counts.
            if (await _client.FindAsync(recordId, urgency, CancellationToken.None) is not { } found)
                return null;
            if (AirtableForm.SaysRevoked(found) && !_form.IsOurs(found))
                throw RevokedByHand();
        }

        try
        {
            var changed = AirtableForm.FieldsOf(key);
            if (keepsStatus)
                changed.Remove(AirtableSchema.Status);
            var written = await TrySealAsync(AirtableForm.FieldsOf(key), changed, recordId, fence, urgency);
            if (!written.IsOurs && !written.SaysRevoked && keepsStatus)
                written = await TrySealAsync(AirtableForm.FieldsOf(key), AirtableForm.FieldsOf(key), recordId, fence, urgency);
            if (written.IsOurs)
                return written.Row;
            throw written.SaysRevoked && key.RevokedAt is null ? RevokedByHand() : NotAsWritten();
        }
        catch (AirtableException exception) when (IsGone(exception))
        {
            return null;
        }
    }

    /// <param name="content">What the record holds in the end.</param>
    /// <param name="changed">What of it is written now, beside the MAC.</param>
    private async Task<SealedRow> TrySealAsync(JsonObject content, JsonObject changed, string recordId, long fence, AirtableUrgency urgency)
    {
        var mac = _form.Sign(content, recordId, fence);
        changed[AirtableSchema.Mac] = mac;
        var written = await (urgency == AirtableUrgency.Change ? _changes : _repairs).RunAsync(new AirtableRecord(recordId, changed));
        return new SealedRow(new WrittenRow(recordId, mac), AirtableForm.MacOf(written) == mac && _form.IsOurs(written), AirtableForm.SaysRevoked(written));
    }

    private static AirtableException NotAsWritten() => new("a record does not hold what was written to it", AirtableFate.Unknown);

    // The next poll takes it in, and with it what of the change is in the record already is written over.
    private static AirtableException RevokedByHand() => new("the key was revoked there by hand a moment ago", AirtableFate.NotSent) { IsRevokedByHand = true };

    private void DemandLease()
    {
        if (!_lease.IsHeld)
            throw new AirtableException("another node has the right to call", AirtableFate.NotSent);
    }

    private static bool IsGone(AirtableException exception) => AirtableShapes.IsMissingRecord(exception) || exception.ErrorType == GoneType;

    private sealed record SealedRow(WrittenRow Row, bool IsOurs, bool SaysRevoked);
}
