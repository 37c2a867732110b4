using System.Collections.Concurrent;
using System.Threading.Channels;
using BitFaster.Caching.Lru;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Settings;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>Bounds of the in-process cache.</summary>
public sealed record KeyCacheOptions
{
    /// <summary>
    /// How many keys are kept in memory, and as many ids that do not exist; <c>Mira__Verification__CacheSize</c>, 100
    /// to 10 000 000.
    /// </summary>
    public int CacheSize { get; init; } = 100_000;

    /// <summary>How many reads of the store may run at once; more wait for their turn.</summary>
    public int ColdReads { get; init; } = 16;

    /// <summary>How long a look-up waits for its turn before it is refused.</summary>
    public TimeSpan ColdPatience { get; init; } = TimeSpan.FromMilliseconds(250);

    public static KeyCacheOptions Read(SettingReader settings) => new()
    {
        CacheSize = settings.Number("Mira__Verification__CacheSize", null, new KeyCacheOptions().CacheSize, 100, 10_000_000),
    };
}

/// <summary>
/// Finds the entry of a key id: in memory, else in the cache that nodes share, else in the store, once for all who wait
/// for it. Entries are dropped when their key changes. Ids that do not exist have entries too, in a cache of their own,
/// so that guessing cannot push the real ones out.
/// </summary>
/// <param name="shared">Null when this node shares nothing.</param>
public sealed class KeyCache(IKeyStore store, RecentChanges changes, KeyCacheOptions options, SharedKeys? shared = null)
    : IMetricSource
{
    private const int ReadAttempts = 3;

    private readonly Lock _keeping = new();
    private readonly ConcurrentLru<KeyId, KeyEntry> _known = new(options.CacheSize);
    private readonly ConcurrentLru<KeyId, KeyEntry> _unknown = new(options.CacheSize);
    private readonly ConcurrentDictionary<KeyId, Task<Found>> _reads = new();
    private readonly ShardedCounter _hits = new();
    private readonly ShardedCounter _misses = new();
    private readonly Channel<Turn> _turns = Turns(options.ColdReads);
    private long _epoch;
    private long _sharedHits;
    private long _sharedMisses;
    private long _storeFailures;
    private int _runningLooks;

    public CacheMetrics Figures => new(_known.Count + _unknown.Count, _hits.Value, _misses.Value);

    /// <summary>What the cache that nodes share did for this one.</summary>
    public SharedCacheMetrics Shared => new(
        shared is not null, shared is { IsAvailable: true }, Interlocked.Read(ref _sharedHits), Interlocked.Read(ref _sharedMisses));

    /// <summary>Look-ups that did not need the store, of all; 0 before any.</summary>
    public double HitRate => Figures is { Hits: var hits, Misses: var misses } && hits + misses > 0 ? (double)(hits + Shared.Hits) / (hits + misses) : 0;

    /// <summary>Reads of the store that failed, since the start.</summary>
    public long StoreFailures => Interlocked.Read(ref _storeFailures);

    public void Register(Instruments instruments)
    {
        instruments.Gauge("cache_hit_rate", "Look-ups answered by memory or Redis, of all; 0 before any", () => HitRate);
        instruments.Counter(
            "cache_requests",
            "Look-ups by layer and result",
            ("layer", "result"),
            [
                ("memory", "hit", () => Figures.Hits),
                ("memory", "miss", () => Figures.Misses),
                ("redis", "hit", () => Shared.Hits),
                ("redis", "miss", () => Shared.Misses),
            ]);
        instruments.Gauge("cache_entries", "Keys in memory, and ids known not to exist", () => Figures.Entries);
    }

    /// <exception cref="StoreUnavailableException">It is not in memory and cannot be read.</exception>
    /// <exception cref="OverloadedException">Too many reads run.</exception>
    public ValueTask<KeyEntry> FindAsync(KeyId id)
    {
        if (!_known.TryGet(id, out var entry) && !_unknown.TryGet(id, out entry))
            return new ValueTask<KeyEntry>(ReadAsync(id));

        _hits.Increment();
        return new ValueTask<KeyEntry>(entry);
    }

    public void Drop(KeyId id)
    {
        lock (_keeping)
        {
            _known.TryRemove(id);
            _unknown.TryRemove(id);
        }
    }

    /// <summary>Forgets all, and what is being read: the seq of another ledger says nothing about this one.</summary>
    public void Clear()
    {
        lock (_keeping)
        {
            _epoch++;
            _known.Clear();
            _unknown.Clear();
        }
    }

    private async Task<KeyEntry> ReadAsync(KeyId id)
    {
        _misses.Increment();
        for (var attempt = 1; ; attempt++)
        {
            var found = await ShareReadAsync(id);
            if (Keep(found.Entry, found.Epoch))
            {
                Count(found.Look);
                return found.Entry;
            }

            if (attempt == ReadAttempts)
                throw new OverloadedException("The key changes faster than it can be read.");
        }
    }

    // Checked and kept in one step: a change is known before it drops the entry, so it is either seen here or drops
    // what was kept here, and nobody finds what is kept for a moment only.
    private bool Keep(KeyEntry entry, long epoch)
    {
        lock (_keeping)
        {
            if (epoch != _epoch || !changes.Trusts(entry.Id, entry.AsOf))
                return false;

            (entry.Key is null ? _unknown : _known).AddOrUpdate(entry.Id, entry);
            return true;
        }
    }

    private void Count(Look look)
    {
        if (look == Look.Hit)
            Interlocked.Increment(ref _sharedHits);
        else if (look == Look.Miss)
            Interlocked.Increment(ref _sharedMisses);
    }

    private async Task<Found> ShareReadAsync(KeyId id)
    {
        if (_reads.TryGetValue(id, out var running))
            return await running;

        // A node that has just started is asked for many keys at once: they take turns, and only a store that is too
        // slow for them sheds some.
        if (!_turns.Reader.TryRead(out _))
            await AwaitTurnAsync();

        // Registered before it starts, so that it cannot end and be taken out before it is in.
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var read = ReadOnceAsync(id, start.Task);
        var shared = _reads.GetOrAdd(id, read);
        if (shared == read)
            start.SetResult();
        else
            start.SetCanceled();
        return await shared;
    }

    private async Task AwaitTurnAsync()
    {
        using var patience = new CancellationTokenSource(options.ColdPatience);
        try
        {
            await _turns.Reader.ReadAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new OverloadedException("Too many keys are being looked up.");
        }
    }

    private static Channel<Turn> Turns(int count)
    {
        var turns = Channel.CreateBounded<Turn>(count);
        while (turns.Writer.TryWrite(default))
            continue;
        return turns;
    }

    private async Task<Found> ReadOnceAsync(KeyId id, Task start)
    {
        try
        {
            await start;
            try
            {
                return await LookAsync(id);
            }
            finally
            {
                _reads.TryRemove(id, out _);
            }
        }
        finally
        {
            _turns.Writer.TryWrite(default);
        }
    }

    // At most half of the reads are out to the shared cache at once: when it stands still, the others go on to the
    // store.
    private async Task<Found> LookAsync(KeyId id)
    {
        if (shared is not { IsAvailable: true } || Volatile.Read(ref _runningLooks) > options.ColdReads / 2)
            return await ReadStoreAsync(id, Look.None);

        var epoch = Volatile.Read(ref _epoch);
        SharedLook look;
        Interlocked.Increment(ref _runningLooks);
        try
        {
            look = await shared.FindAsync(id);
        }
        finally
        {
            Interlocked.Decrement(ref _runningLooks);
        }

        if (look.Entry is { } entry && Keep(entry, epoch))
            return new Found(entry, epoch, Look.Hit);

        var found = await ReadStoreAsync(id, Look.Miss);
        shared.Complete(look, found.Entry);
        return found;
    }

    private async Task<Found> ReadStoreAsync(KeyId id, Look look)
    {
        var epoch = Volatile.Read(ref _epoch);
        try
        {
            // Nobody's cancellation: others may wait for the same read.
            return new Found(await store.ReadAsync(id, CancellationToken.None), epoch, look);
        }
        catch (StoreUnavailableException)
        {
            Interlocked.Increment(ref _storeFailures);
            throw;
        }
    }

    /// <summary>Who holds it may read.</summary>
    private readonly record struct Turn;

    private enum Look
    {
        None,
        Hit,
        Miss,
    }

    private sealed record Found(KeyEntry Entry, long Epoch, Look Look);
}

/// <summary>What the shared cache did since the start for the look-ups that memory did not answer.</summary>
public sealed record SharedCacheMetrics(bool IsEnabled, bool IsAvailable, long Hits, long Misses)
{
    /// <summary>0 to 1; 0 before any look-up.</summary>
    public double HitRate => Hits + Misses == 0 ? 0 : (double)Hits / (Hits + Misses);
}

/// <summary>What the in-process cache holds and did since the start.</summary>
public sealed record CacheMetrics(int Entries, long Hits, long Misses)
{
    /// <summary>0 to 1; 0 before any look-up.</summary>
    public double HitRate => Hits + Misses == 0 ? 0 : (double)Hits / (Hits + Misses);
}
