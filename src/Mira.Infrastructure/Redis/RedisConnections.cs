using Microsoft.Extensions.Logging;
using Mira.Application.Background;

namespace Mira.Infrastructure.Redis;

/// <summary>The connections of this process, one for each server.</summary>
public sealed class RedisConnections : IAsyncDisposable
{
    public RedisConnections(RedisOptions options, TimeProvider clock, ILogger<RedisConnection> log)
    {
        if (options.Cache is { } cache)
            Cache = new RedisConnection(cache.Endpoint, cache.Number, clock, log);
        if (options.Limits is { } limits)
        {
            Limits = options.Cache?.Endpoint == limits.Endpoint ? Cache : new RedisConnection(limits.Endpoint, limits.Number, clock, log);
            Nodes = new RedisNodes(Limits!, limits.Number, clock);
        }

        All = [.. new[] { Cache, Limits }.OfType<RedisConnection>().Distinct()];
    }

    public RedisConnection? Cache { get; }

    public RedisConnection? Limits { get; }

    /// <summary>The nodes that count together; null without shared limits.</summary>
    public RedisNodes? Nodes { get; }

    public IReadOnlyList<RedisConnection> All { get; }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in All)
            await connection.DisposeAsync();
    }
}

/// <summary>Connects beside the start, which waits for nothing, and looks after each Redis from then on: once a second, and ten times a second while it is away.</summary>
public sealed class RedisWatch(RedisConnections connections, TimeProvider clock, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private const int QuietTicks = 10;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    protected override IEnumerable<Loop> Loops() =>
        connections.All.Select(connection => new Loop("redis_watch", Interval, Watching(connection)) { StartsAtOnce = true });

    private Func<CancellationToken, Task> Watching(RedisConnection connection)
    {
        var quiet = 0;
        return _ =>
        {
            if (connection.IsWritable && ++quiet < QuietTicks)
                return Task.CompletedTask;

            quiet = 0;
            return ProbeAsync(connection);
        };
    }

    private async Task ProbeAsync(RedisConnection connection)
    {
        await connection.ProbeAsync();
        if (connection == connections.Limits)
            await connections.Nodes!.AnnounceAsync();
    }
}
