using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Brings decided changes to Airtable: itself where this node has the lease, else by the one that has it, which finds
/// them in the ledger's database.
/// </summary>
public sealed class IntentDispatcher(MirrorStore book, WriterLease lease, RecordWriter writer, TimeProvider clock)
{
    /// <summary>All of a change's calls, with the time until somebody makes them.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<Guid, bool> _serving = new();

    /// <exception cref="AirtableException">It was not written, or nobody knows.</exception>
    public async Task<IReadOnlyDictionary<KeyId, WrittenRow>> CarryAsync(IReadOnlyList<AirtableIntent> intents)
    {
        if (lease.IsHeld)
            return await WriteAsync(intents);

        using var pace = new PeriodicTimer(Pace, clock);
        var began = clock.GetTimestamp();
        while (clock.GetElapsedTime(began) < Patience)
        {
            await pace.WaitForNextTickAsync();
            if (lease.IsHeld)
                return await WriteAsync(intents);

            var now = await ReadAsync(intents[0].Operation);
            if (now.Count < intents.Count || now.Any(intent => intent.State == IntentState.Unknown))
                throw new AirtableException("another node does not know whether it was written", DeliveryState.Unknown);
            if (now.Any(intent => intent.State == IntentState.Refused))
                throw new AirtableException("another node could not write it", DeliveryState.NotSent);
            if (now.All(intent => intent.State == IntentState.Written))
                return now.ToDictionary(intent => intent.KeyId, intent => new WrittenRow(intent.RecordId!, intent.Mac!));
        }

        throw new AirtableException("no node has written it in time", DeliveryState.Unknown);
    }

    /// <summary>Writes what other nodes have decided and wait for.</summary>
    public async Task ServeAsync(CancellationToken cancellationToken)
    {
        var waiting = await book.ReadAsync(
            (database, now) => database.AirtableIntents.AsNoTracking()
                .Where(intent => intent.State == IntentState.Decided && intent.Owner != lease.Node && intent.Deadline > now).ToListAsync(cancellationToken),
            cancellationToken);
        var operations = waiting.GroupBy(intent => intent.Operation).Where(operation => _serving.TryAdd(operation.Key, true)).ToList();
        await Task.WhenAll(operations.Select(operation => ServeAsync([.. operation])));
    }

    private async Task ServeAsync(List<AirtableIntent> intents)
    {
        try
        {
            var (state, written) = await TryWriteAsync(intents);
            await book.WriteAsync(
                async (database, _) =>
                {
                    foreach (var intent in intents)
                    {
                        var row = written.GetValueOrDefault(intent.KeyId);
                        await database.AirtableIntents
                            .Where(known => known.KeyId == intent.KeyId && known.Operation == intent.Operation && known.State == IntentState.Decided)
                            .ExecuteUpdateAsync(set => set
                                .SetProperty(known => known.State, state)
                                .SetProperty(known => known.RecordId, row == null ? null : row.RecordId)
                                .SetProperty(known => known.Mac, row == null ? null : row.Mac));
                    }

                    return true;
                },
                CancellationToken.None);
        }
        finally
        {
            _serving.TryRemove(intents[0].Operation, out _);
        }
    }

    private async Task<(IntentState State, IReadOnlyDictionary<KeyId, WrittenRow> Written)> TryWriteAsync(List<AirtableIntent> intents)
    {
        try
        {
            return (IntentState.Written, await WriteAsync(intents));
        }
        catch (AirtableException exception)
        {
            return (exception.Fate == DeliveryState.NotSent ? IntentState.Refused : IntentState.Unknown, new Dictionary<KeyId, WrittenRow>());
        }
    }

    private async Task<IReadOnlyDictionary<KeyId, WrittenRow>> WriteAsync(IReadOnlyList<AirtableIntent> intents)
    {
        KeyId[] ids = [.. intents.Select(intent => intent.KeyId)];
        var records = await FindRecordsAsync(ids);
        var calls = intents.Select(intent => (intent.KeyId, Writing: WriteAsync(
            JsonSerializer.Deserialize<KeyRecord>(intent.Record)!.ToKey(), intent.Kind, records))).ToList();
        await ((Task)Task.WhenAll(calls.Select(call => call.Writing))).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var failures = calls.Select(call => call.Writing.Exception?.InnerException).OfType<AirtableException>().ToList();
        if (failures.Count > 0)
        {
            // Of several keys some may be there already.
            var isUnknown = failures.Count < calls.Count || failures.Any(failure => failure.Fate == DeliveryState.Unknown);
            throw isUnknown && failures[0].Fate == DeliveryState.NotSent
                ? new AirtableException("only a part of it was written", DeliveryState.Unknown, failures[0])
                : failures.Find(failure => failure.Fate == DeliveryState.Unknown) ?? failures[0];
        }

        var written = new Dictionary<KeyId, WrittenRow>();
        foreach (var (id, writing) in calls)
            written[id] = await writing;
        return written;
    }

    private Task<WrittenRow> WriteAsync(ApiKey key, IntentKind kind, Dictionary<KeyId, Settled> records)
    {
        var record = records.GetValueOrDefault(key.Id);
        return writer.WriteAsync(key, record?.RecordId, record switch
        {
            null when kind == IntentKind.Create => KnownRecord.New,
            { IsRight: true } when record.IsDisabled == key.IsDisabled => KnownRecord.Right,
            _ => KnownRecord.Unsure,
        });
    }

    private async Task<Dictionary<KeyId, Settled>> FindRecordsAsync(KeyId[] ids)
    {
        try
        {
            return await book.ReadAsync(
                database => (from row in database.AirtableRows
                             where ids.Contains(row.KeyId) && row.RecordId != ""
                             join key in database.Keys on row.KeyId equals key.Id
                             select new { row.KeyId, Settled = new Settled(row.RecordId, row.Finding == null && !row.IsDirty, key.IsDisabled) })
                    .ToDictionaryAsync(one => one.KeyId, one => one.Settled),
                CancellationToken.None);
        }
        catch (StoreUnavailableException exception)
        {
            throw new AirtableException("its record is not known now", DeliveryState.NotSent, exception);
        }
    }

    private async Task<List<AirtableIntent>> ReadAsync(Guid operation)
    {
        try
        {
            return await book.ReadAsync(
                database => database.AirtableIntents.AsNoTracking().Where(intent => intent.Operation == operation).ToListAsync(), CancellationToken.None);
        }
        catch (StoreUnavailableException exception)
        {
            throw new AirtableException("how far another node came is not known now", DeliveryState.Unknown, exception);
        }
    }

    /// <param name="IsRight">Is nothing known to be wrong with the record?</param>
    /// <param name="IsDisabled">As the record says.</param>
    private sealed record Settled(string RecordId, bool IsRight, bool IsDisabled);
}
