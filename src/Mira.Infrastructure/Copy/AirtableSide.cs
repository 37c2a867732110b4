using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Copy;

/// <summary>
/// What copying does with a table of Airtable. Where there is a ledger it holds the right to call, so that Airtable's
/// limit holds whoever else runs.
/// </summary>
internal sealed class AirtableSide : IAsyncDisposable
{
    /// <summary>A process that died loses the right sooner.</summary>
    private static readonly TimeSpan LeasePatience = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan LeasePace = TimeSpan.FromMilliseconds(50);

    /// <summary>Before another attempt, where Airtable does not say how long.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// So many times nothing got through in a row, each time after several attempts, and no more is tried.
    /// </summary>
    private const int IdleRounds = 2;

    private readonly OpenedStore _store;
    private readonly TimeProvider _clock;
    private LeaseKeepAlive? _holding;

    private AirtableSide(OpenedStore store, TimeProvider clock) => (_store, _clock) = (store, clock);

    /// <exception cref="SettingException">The table is not usable, or another process calls Airtable.</exception>
    public static async Task<AirtableSide> OpenAsync(OpenedStore store, TimeProvider clock, CancellationToken cancellationToken)
    {
        var side = new AirtableSide(store, clock);
        try
        {
            if (store.IsThere)
                await side.TakeLeaseAsync(cancellationToken);
            await TableCheck.DemandAsync(store.Part<AirtableClient>(), cancellationToken);
            return side;
        }
        catch
        {
            await side.DisposeAsync();
            throw;
        }
    }

    /// <summary>Brings the mirror up to date with the table, as a service does when it starts.</summary>
    /// <exception cref="StoreUnavailableException">Airtable does not answer.</exception>
    public Task UpdateMirrorAsync(CancellationToken cancellationToken) => AskAsync(async () =>
    {
        await _store.Part<RecordRepairs>().SettleAsync(cancellationToken);
        return await _store.Part<TablePoller>().SweepAsync(int.MaxValue, cancellationToken);
    });

    /// <summary>Reads the whole table, and believes what a node wrote.</summary>
    /// <exception cref="StoreUnavailableException">Airtable does not answer.</exception>
    public Task<SeenTable> ReadTableAsync(CancellationToken cancellationToken) => AskAsync(async () =>
    {
        var table = new SeenTable(_store.Part<RecordMapper>());
        string? offset = null;
        do
        {
            var page = await _store.Part<AirtableClient>().ListAsync(offset, null, null, cancellationToken);
            table.Add(page.Records);
            offset = page.Offset;
        }
        while (offset is not null);
        return table;
    });

    /// <summary>Writes the records of keys that the ledger has and the table has not.</summary>
    /// <returns>Of those that could not be written, why. The service goes on with them when it starts.</returns>
    /// <exception cref="LedgerUnavailableException">What was written could not be noted.</exception>
    public async Task<IReadOnlyDictionary<KeyId, string>> PushAsync(IReadOnlyList<KeyId> ids, CancellationToken cancellationToken)
    {
        var left = await FindLeftAsync(ids, cancellationToken);
        AirtableException? problem = null;
        for (var idle = 0; left.Mine.Count > 0 && idle < IdleRounds;)
        {
            if (problem is not null)
                await Task.Delay(problem.RetryAfter ?? Pause, _clock, cancellationToken);

            problem = null;
            try
            {
                await _store.Part<RecordRepairs>().RepairAsync(cancellationToken);
            }
            catch (AirtableException exception)
            {
                problem = exception;
            }

            var before = left.All;
            left = await FindLeftAsync(ids, cancellationToken);
            idle = left.All < before ? 0 : idle + 1;
        }

        return left.Mine.ToDictionary(id => id, _ => problem?.Message ?? "Airtable does not hold it yet");
    }

    public ValueTask DisposeAsync() => _holding?.DisposeAsync() ?? default;

    private static async Task<T> AskAsync<T>(Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (AirtableException exception)
        {
            throw new StoreUnavailableException($"The table cannot be read: {exception.Message}.", exception);
        }
    }

    private async Task TakeLeaseAsync(CancellationToken cancellationToken)
    {
        var lease = _store.Part<WriterLease>();
        _holding = new LeaseKeepAlive(lease, _clock);
        using var pace = new PeriodicTimer(LeasePace, _clock);
        var began = _clock.GetTimestamp();
        while (!lease.IsHeld)
        {
            if (_clock.GetElapsedTime(began) > LeasePatience)
                throw new SettingException("AIRTABLE_BASE_ID", "another process calls Airtable for this ledger: stop Mira before keys are copied");
            await pace.WaitForNextTickAsync(cancellationToken);
        }
    }

    private Task<(IReadOnlyList<KeyId> Mine, int All)> FindLeftAsync(IReadOnlyList<KeyId> ids, CancellationToken cancellationToken) => _store.ReadAsync<(IReadOnlyList<KeyId>, int)>(
        async database =>
        {
            var dirty = database.AirtableRows.Where(row => row.IsDirty);
            return (await dirty.Where(row => ids.Contains(row.KeyId)).Select(row => row.KeyId).ToListAsync(cancellationToken), await dirty.CountAsync(cancellationToken));
        },
        cancellationToken);
}

/// <summary>A table as it was read.</summary>
internal sealed class SeenTable(RecordMapper form)
{
    private readonly Dictionary<KeyId, AirtableRecord> _ours = [];
    private readonly HashSet<KeyId> _others = [];
    private readonly HashSet<string> _ids = [];

    /// <summary>The keys that nodes wrote, oldest first.</summary>
    public IEnumerable<ApiKey> Keys => _ours.Values.OrderBy(RecordMapper.CreatedAtOf).Select(KeyOf).OfType<ApiKey>();

    public void Add(IReadOnlyList<AirtableRecord> records)
    {
        foreach (var record in records)
        {
            _ids.Add(record.Id);
            if (RecordMapper.KeyIdOf(record) is { } id && !(form.IsOurs(record) && _ours.TryAdd(id, record)))
                _others.Add(id);
        }
    }

    public bool Has(string recordId) => _ids.Contains(recordId);

    /// <summary>The key's record, as a node wrote it.</summary>
    public AirtableRecord? Find(KeyId id) => _ours.GetValueOrDefault(id);

    /// <summary>Is there a record with its id that no node wrote as it is?</summary>
    public bool HasOther(KeyId id) => _others.Contains(id);

    public static ApiKey? KeyOf(AirtableRecord record)
    {
        try
        {
            return RecordMapper.Read(record).ToKey();
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
