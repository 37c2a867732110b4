using Microsoft.EntityFrameworkCore;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Copy;

/// <summary>
/// The store that keys are copied to. What is there is left as it is. Into Airtable a key goes by way of its ledger,
/// which knows what is still to be written to the table: whatever ends the copying, the next one, or the service, goes
/// on with it.
/// </summary>
/// <param name="reason">Stands in the ledger with each key.</param>
/// <param name="airtable">Null unless keys have their source of truth there.</param>
/// <param name="table">What was in the table before; null with <paramref name="airtable"/>.</param>
internal sealed class CopyTarget(OpenedStore store, string reason, AirtableSide? airtable = null, SeenTable? table = null)
{
    private enum Step
    {
        Same,
        Differs,

        /// <summary>A change of it is on its way.</summary>
        Unsettled,

        /// <summary>A person wrote, or changed, its record in the table.</summary>
        Taken,

        /// <summary>The ledger does not know it.</summary>
        Add,

        /// <summary>The ledger knows it, the table does not.</summary>
        Show,

        /// <summary>Both know it, and not of each other.</summary>
        Link,
    }

    /// <summary>What was there at the beginning, when keys came into it otherwise since; else null.</summary>
    public IReadOnlySet<KeyId>? Before { get; init; }

    /// <summary>Why nothing gets through any more; null while something does.</summary>
    public string? Stop { get; private set; }

    /// <summary>What would become of keys.</summary>
    public async Task<IReadOnlyDictionary<KeyId, CopiedKey>> LookAsync(IReadOnlyList<ApiKey> keys, CancellationToken cancellationToken)
    {
        var known = store.IsThere ? await store.ReadAsync(database => Known.LoadAsync(database, keys, cancellationToken), cancellationToken) : Known.Nothing;
        return keys.ToDictionary(key => key.Id, key => Told(key.Id, StepFor(key, known), CopyResult.WouldCopy));
    }

    /// <summary>Takes keys in.</summary>
    /// <exception cref="LedgerUnavailableException">It cannot be written.</exception>
    public async Task<IReadOnlyDictionary<KeyId, CopiedKey>> PutAsync(IReadOnlyList<ApiKey> keys, CancellationToken cancellationToken)
    {
        var steps = await store.ChangeAsync(
            async change =>
            {
                var known = await Known.LoadAsync(change.Database, keys, cancellationToken);
                var steps = keys.ToDictionary(key => key.Id, key => StepFor(key, known));
                foreach (var key in keys)
                    Do(steps[key.Id], key, change, known);
                return steps;
            },
            cancellationToken);
        KeyId[] unseen = [.. steps.Where(step => step.Value is Step.Add or Step.Show).Select(step => step.Key)];
        var failed = airtable is null ? new Dictionary<KeyId, string>() : await airtable.PushAsync(unseen, cancellationToken);
        Stop = unseen.Length > 0 && failed.Count == unseen.Length ? failed.Values.First() : null;
        return steps.ToDictionary(
            step => step.Key,
            step => failed.TryGetValue(step.Key, out var problem) ? new CopiedKey(step.Key, CopyResult.Failed, problem) : Told(step.Key, step.Value, CopyResult.Copied));
    }

    private Step StepFor(ApiKey key, Known known)
    {
        if (known.Unsettled.Contains(key.Id))
            return Step.Unsettled;

        var there = known.Keys.GetValueOrDefault(key.Id);
        if (there?.IsSameAs(key) == false)
            return Step.Differs;
        if (table is null)
            return there is null ? Step.Add : Step.Same;

        if (there is not null && known.Rows.GetValueOrDefault(key.Id) is { } row)
        {
            if (row.IsDirty)
                return Step.Show;
            if (table.Has(row.RecordId))
                return Step.Same;
        }

        if (table.Find(key.Id) is not { } record)
            return table.HasOther(key.Id) ? Step.Taken : there is null ? Step.Add : Step.Show;
        if (SeenTable.KeyOf(record)?.IsSameAs(key) != true)
            return Step.Differs;
        // The service takes in what it finds in the table.
        return there is null ? Step.Same : Step.Link;
    }

    private void Do(Step step, ApiKey key, SqlLedgerChange change, Known known)
    {
        if (step == Step.Add)
            change.Add(ApiKey.Import(KeyRecord.Of(key), reason));
        if (table is null || step is not (Step.Add or Step.Show or Step.Link))
            return;

        if (!known.Rows.TryGetValue(key.Id, out var row))
            change.Database.AirtableRows.Add(row = new RecordState { KeyId = key.Id, RecordId = "", Mac = "" });
        (row.IsDirty, row.IsUndone, row.MissingSweeps, row.Finding) = (step != Step.Link, false, 0, null);
        if (step == Step.Link && table.Find(key.Id) is { } record)
            (row.RecordId, row.Mac) = (record.Id, RecordMapper.MacOf(record)!);
    }

    private CopiedKey Told(KeyId id, Step step, CopyResult done) => step switch
    {
        Step.Same when Before?.Contains(id) == false => new CopiedKey(id, done),
        Step.Same or Step.Link => new CopiedKey(id, CopyResult.Same),
        Step.Differs => new CopiedKey(id, CopyResult.Differs),
        Step.Unsettled => new CopiedKey(id, CopyResult.Failed, "a change of it is not resolved yet"),
        Step.Taken => new CopiedKey(id, CopyResult.Failed, "the table holds a record of it that Mira has not written as it is"),
        Step.Add or Step.Show => new CopiedKey(id, done),
    };

    /// <summary>What the store holds of some keys.</summary>
    private sealed record Known(IReadOnlyDictionary<KeyId, ApiKey> Keys, IReadOnlyDictionary<KeyId, RecordState> Rows, IReadOnlySet<KeyId> Unsettled)
    {
        public static Known Nothing { get; } = new(new Dictionary<KeyId, ApiKey>(), new Dictionary<KeyId, RecordState>(), new HashSet<KeyId>());

        public static async Task<Known> LoadAsync(MiraDbContext database, IReadOnlyList<ApiKey> keys, CancellationToken cancellationToken)
        {
            KeyId[] ids = [.. keys.Select(key => key.Id)];
            return new Known(
                await database.Keys.AsNoTracking().Include(key => key.Secrets.OrderBy(secret => secret.Version)).Where(key => ids.Contains(key.Id))
                    .ToDictionaryAsync(key => key.Id, cancellationToken),
                await database.AirtableRows.Where(row => ids.Contains(row.KeyId)).ToDictionaryAsync(row => row.KeyId, cancellationToken),
                await database.AirtableIntents.Where(intent => ids.Contains(intent.KeyId)).Select(intent => intent.KeyId).ToHashSetAsync(cancellationToken));
        }
    }
}
