using System.Collections.Concurrent;
using BitFaster.Caching.Lru;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Keys;

namespace Mira.Application.Verification;

/// <summary>Bounds of the in-process cache.</summary>
public sealed record KeyDirectoryOptions
{
    /// <summary>How many keys are kept in memory, and as many ids that do not exist; <c>Mira__Verification__CacheSize</c>, 100 to 10 000 000.</summary>
    public int CacheSize { get; init; } = 100_000;

    /// <summary>How many reads of the store may run at once; more are refused.</summary>
    public int ColdReads { get; init; } = 16;

    public static KeyDirectoryOptions Read(SettingReader settings) => new()
    {
        CacheSize = settings.Number("Mira__Verification__CacheSize", null, new KeyDirectoryOptions().CacheSize, 100, 10_000_000),
    };
}

/// <summary>
/// Finds the entry of a key id: in memory, else in one read of the store that all who wait for it share. Entries are dropped when their key
/// changes. Ids that do not exist have entries too, in a cache of their own, so that guessing cannot push the real ones out.
/// </summary>
public sealed class KeyDirectory(IKeyStore store, RecentChanges changes, KeyDirectoryOptions options)
{
    private const int ReadAttempts = 3;

    private readonly ConcurrentLru<KeyId, KeyEntry> _known = new(options.CacheSize);
    private readonly ConcurrentLru<KeyId, KeyEntry> _unknown = new(options.CacheSize);
    private readonly ConcurrentDictionary<KeyId, Task<KeyEntry>> _reads = new();
    private long _hits;
    private long _misses;
    private int _runningReads;

    public CacheFigures Figures => new(_known.Count + _unknown.Count, Interlocked.Read(ref _hits), Interlocked.Read(ref _misses));

    /// <exception cref="StoreUnavailableException">It is not in memory and cannot be read.</exception>
    /// <exception cref="OverloadedException">Too many reads run.</exception>
    public ValueTask<KeyEntry> FindAsync(KeyId id)
    {
        if (!_known.TryGet(id, out var entry) && !_unknown.TryGet(id, out entry))
            return new ValueTask<KeyEntry>(ReadAsync(id));

        Interlocked.Increment(ref _hits);
        return new ValueTask<KeyEntry>(entry);
    }

    public void Drop(KeyId id)
    {
        _known.TryRemove(id);
        _unknown.TryRemove(id);
    }

    public void Clear()
    {
        _known.Clear();
        _unknown.Clear();
    }

    private async Task<KeyEntry> ReadAsync(KeyId id)
    {
        Interlocked.Increment(ref _misses);
        for (var attempt = 1; ; attempt++)
        {
            var entry = await ShareReadAsync(id);
            if (Keep(entry))
                return entry;
            if (attempt == ReadAttempts)
                throw new OverloadedException("The key changes faster than it can be read.");
        }
    }

    private bool Keep(KeyEntry entry) =>
        changes.TryKeep(entry.Id, entry.AsOf, () => (entry.Key is null ? _unknown : _known).AddOrUpdate(entry.Id, entry));

    private Task<KeyEntry> ShareReadAsync(KeyId id)
    {
        if (_reads.TryGetValue(id, out var running))
            return running;

        if (Interlocked.Increment(ref _runningReads) > options.ColdReads)
        {
            Interlocked.Decrement(ref _runningReads);
            throw new OverloadedException("Too many keys are being looked up.");
        }

        // Registered before it starts, so that it cannot end and be taken out before it is in.
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var read = ReadOnceAsync(id, start.Task);
        var shared = _reads.GetOrAdd(id, read);
        if (shared == read)
            start.SetResult();
        else
            start.SetCanceled();
        return shared;
    }

    private async Task<KeyEntry> ReadOnceAsync(KeyId id, Task start)
    {
        try
        {
            await start;
            try
            {
                // Nobody's cancellation: others may wait for the same read.
                return await store.ReadAsync(id, CancellationToken.None);
            }
            finally
            {
                _reads.TryRemove(id, out _);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _runningReads);
        }
    }
}

/// <summary>What the in-process cache holds and did since the start.</summary>
public sealed record CacheFigures(int Entries, long Hits, long Misses)
{
    /// <summary>0 to 1; 0 before any look-up.</summary>
    public double HitRate => Hits + Misses == 0 ? 0 : (double)Hits / (Hits + Misses);
}
