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
        _cache = RedisRegistration.CacheOf(redis.Connection, new SealedEntry(peppers), TimeProvider.System);
        Gathered = new GatheredEvents(store.Clock);
        var shared = new SharedKeys(_cache, Changes, new Lazy<LedgerFollower>(() => Follower!), new LedgerMarks(store.Reader, Changes), peppers, Gathered);
        Directory = new KeyDirectory(store.Keys, Changes, new KeyDirectoryOptions { CacheSize = 100 }, shared);
        Follower = new LedgerFollower(store.Reader, Changes, Directory, new LedgerFollowerOptions(), store.Clock);
    }

    public RecentChanges Changes { get; } = new();

    public KeyDirectory Directory { get; }

    public LedgerFollower Follower { get; }

    public GatheredEvents Gathered { get; }

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
