using Mira.Application.Limits;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Infrastructure.Redis;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>A node's limiter over its own way to Redis.</summary>
internal sealed class LimitedNode(RedisNode redis) : IAsyncDisposable
{
    public RateLimiter Limiter { get; } = new(new LimitOptions(), TimeProvider.System, redis.Limits);

    public RedisNode Redis { get; } = redis;

    public static async Task<LimitedNode[]> ConnectAsync(params RedisEndpoint[] endpoints) =>
        [.. (await Task.WhenAll(endpoints.Select(RedisNode.ConnectAsync))).Select(redis => new LimitedNode(redis))];

    public static HeldKey KeyOf(int limit) => new(new KeyTerms { Name = "busy", Role = Role.Viewer, LifetimeDays = 90, RateLimitPerMinute = limit });

    /// <summary>So many parallel calls with one key, at all nodes in turn.</summary>
    /// <returns>How many were admitted.</returns>
    public static async Task<int> BurstAsync(IReadOnlyList<LimitedNode> nodes, HeldKey held, int calls)
    {
        var entries = nodes.Select(_ => new KeyEntry(held.Id, held.Key, 1)).ToArray();
        var states = await Task.WhenAll(Enumerable.Range(0, calls).Select(
            call => Task.Run(async () => await nodes[call % nodes.Count].Limiter.ChargeAsync(entries[call % nodes.Count], 1))));
        return states.Count(state => state.IsAdmitted);
    }

    public async ValueTask DisposeAsync()
    {
        Limiter.Dispose();
        await Redis.DisposeAsync();
    }
}
