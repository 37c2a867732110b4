using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Mira.Application.Background;
using Mira.Application.Limits;
using Mira.Application.Metrics;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Redis;

/// <summary>Takes in what is configured, and nothing else: without Redis neither port exists.</summary>
internal static class RedisRegistration
{
    /// <summary>
    /// Before each name; the number is that of the entries' form, so that versions of Mira side by side do not read
    /// each other's.
    /// </summary>
    private const string CachePrefix = "mira:key:3:";

    public static void AddMiraRedis(this IServiceCollection services, RedisOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<RedisConnections>();
        services.AddSingleton<ISharedHealth, RedisHealth>();
        services.AddSingleton<IMetricSource, RedisMetrics>();
        if (options.Cache is not null)
        {
            services.AddSingleton<AuthenticatedEntry>();
            services.AddSingleton(provider => CacheOf(
                provider.GetRequiredService<RedisConnections>().Cache!, provider.GetRequiredService<AuthenticatedEntry>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<LoopBoard>()));
            services.AddSingleton<ISharedKeyCache>(provider => provider.GetRequiredService<RedisKeyCache>());
            services.AddSingleton(provider => new Lazy<LedgerPoller>(provider.GetRequiredService<LedgerPoller>));
            services.AddSingleton<SharedKeys>();
            services.AddHostedService(provider => provider.GetRequiredService<RedisKeyCache>());
        }

        if (options.Limits is { } limits)
            services.AddSingleton<ISharedLimits>(provider => RedisLimitsOf(provider.GetRequiredService<RedisConnections>(), limits.Number));
        if (options.Cache is not null || options.Limits is not null)
            services.AddHostedService<RedisWatch>();
    }

    private static RedisLimits RedisLimitsOf(RedisConnections connections, int database) => new(connections.Limits!, database, connections.Nodes);

    /// <summary>The cache over a connection, whose owner ends it.</summary>
    public static RedisKeyCache CacheOf(
        RedisConnection connection, AuthenticatedEntry seal, TimeProvider clock, LoopBoard? board = null, int queueLength = RedisKeyCache.DefaultQueueLength)
    {
        var options = new RedisCacheOptions
        {
            InstanceName = CachePrefix,
            ConnectionMultiplexerFactory = () => Task.FromResult(connection.Multiplexer),
        };
        return new RedisKeyCache(connection, new RedisCache(Options.Create(options)), seal, clock, board, queueLength);
    }
}

internal sealed class RedisHealth(RedisConnections connections) : ISharedHealth
{
    public bool? IsAvailable => connections.All.Count == 0 ? null : connections.All.All(connection => connection.IsWritable);
}
