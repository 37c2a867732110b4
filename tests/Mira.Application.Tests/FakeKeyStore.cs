using System.Collections.Concurrent;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests;

/// <summary>A store in memory whose reads can be held before and after the moment they see.</summary>
internal sealed class FakeKeyStore : IKeyStore
{
    private readonly ConcurrentDictionary<KeyId, ApiKey> _keys = new();
    private long _asOf;
    private int _reads;
    private Gate? _before;
    private Gate? _after;

    /// <summary>The ledger's position that reads see from now on.</summary>
    public long AsOf
    {
        get => Volatile.Read(ref _asOf);
        set => Volatile.Write(ref _asOf, value);
    }

    public bool IsDown { get; set; }

    public int Reads => Volatile.Read(ref _reads);

    public KeyFilter? LastFilter { get; private set; }

    public IReadOnlyList<(ApiKey Key, long Seq)> Found { get; set; } = [];

    public void Put(params HeldKey[] keys)
    {
        foreach (var held in keys)
            _keys[held.Id] = held.Key;
    }

    public Gate HoldBeforeTheSnapshot() => _before = new Gate();

    public Gate HoldAfterTheSnapshot() => _after = new Gate();

    public async Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _reads);
        var after = Interlocked.Exchange(ref _after, null);
        if (Interlocked.Exchange(ref _before, null) is { } before)
            await before.PassAsync();
        if (IsDown)
            throw new StoreUnavailableException("down");

        var entry = new KeyEntry(id, _keys.GetValueOrDefault(id), AsOf);
        if (after is not null)
            await after.PassAsync();
        return entry;
    }

    public Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken)
    {
        LastFilter = filter;
        return Task.FromResult<IReadOnlyList<(ApiKey, long)>>([.. Found.Take(filter.Limit)]);
    }
}
