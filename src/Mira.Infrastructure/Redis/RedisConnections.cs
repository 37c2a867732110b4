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

/// <summary>
/// Connects at the start, which waits for it a moment, so that the first calls are counted over all nodes already; and
/// looks after each Redis from then on: once a second, and ten times a second while it is away.
/// </summary>
public sealed class RedisWatch(RedisConnections connections, TimeProvider clock, LoopBoard? board = null) : BackgroundLoops(clock, board)
{
    private const int QuietTicks = 10;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StartPatience = TimeSpan.FromMilliseconds(500);

    private readonly CountdownEvent _untried = new(connections.All.Count);
    private readonly TaskCompletionSource _tried = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await base.StartAsync(cancellationToken);
        try
        {
            await _tried.Task.WaitAsync(StartPatience, Clock, cancellationToken);
        }
        catch (TimeoutException)
        {
            // Without Redis the node starts all the same.
        }
    }

    public override void Dispose()
    {
        _untried.Dispose();
        base.Dispose();
    }

    protected override IEnumerable<Loop> Loops() =>
        connections.All.Select(connection => new Loop("redis_watch", Interval, Watching(connection)) { StartsAtOnce = true });

    private Func<CancellationToken, Task> Watching(RedisConnection connection)
    {
        var quiet = 0;
        var isTried = false;
        return async _ =>
        {
            if (connection.IsWritable && ++quiet < QuietTicks)
                return;

            quiet = 0;
            try
            {
                await ProbeAsync(connection);
            }
            finally
            {
                if (!isTried && _untried.Signal())
                    _tried.TrySetResult();
                isTried = true;
            }
        };
    }

    private async Task ProbeAsync(RedisConnection connection)
    {
        await connection.ProbeAsync();
        if (connection == connections.Limits)
            await connections.Nodes!.AnnounceAsync();
    }
}
