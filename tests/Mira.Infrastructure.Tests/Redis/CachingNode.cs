using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>A node on a store and a Redis that others use too, with caches of its own.</summary>
internal sealed class CachingNode : IAsyncDisposable
{
    private readonly RedisNode _redis;
    private readonly RedisKeyCache _cache;

    private CachingNode(Store store, RedisNode redis, PepperRing peppers)
    {
        _redis = redis;
        _cache = RedisRegistration.CacheOf(redis.Connection, new AuthenticatedEntry(peppers), TimeProvider.System);
        AggregatedEvents = new AggregatedEvents(store.Clock);
        var shared = new SharedKeys(_cache, Changes, new Lazy<LedgerPoller>(() => Follower!), new LedgerHashes(store.Reader, Changes), peppers, AggregatedEvents);
        Directory = new KeyCache(store.Keys, Changes, new KeyCacheOptions { CacheSize = 100 }, shared);
        Follower = new LedgerPoller(store.Reader, Changes, Directory, new LedgerPollerOptions(), store.Clock);
    }

    public RecentChanges Changes { get; } = new();

    public KeyCache Directory { get; }

    public LedgerPoller Follower { get; }

    public AggregatedEvents AggregatedEvents { get; }

    public RedisConnection Connection => _redis.Connection;

    public static async Task<CachingNode> StartAsync(Store store, int port, PepperRing? peppers = null, bool isPatient = true)
    {
        var node = new CachingNode(store, await RedisNode.ConnectAsync(port, isPatient), peppers ?? HeldKey.Peppers);
        await node.Follower.StartAsync(CancellationToken.None);
        await node._cache.StartAsync(CancellationToken.None);
        return node;
    }

    public async Task<ApiKey> FindAsync(KeyId id) => (await Directory.FindAsync(id)).Key!;

    /// <summary>Finds a key that memory does not hold.</summary>
    public Task<ApiKey> FindColdAsync(KeyId id)
    {
        Directory.Drop(id);
        return FindAsync(id);
    }

    public async ValueTask DisposeAsync()
    {
        await _cache.StopAsync(CancellationToken.None);
        _cache.Dispose();
        Follower.Dispose();
        await _redis.DisposeAsync();
    }
}
