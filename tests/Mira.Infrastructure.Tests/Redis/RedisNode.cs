using Microsoft.Extensions.Logging.Abstractions;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Tests.Ledger;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>One connection with what looks after it, as a node has it.</summary>
internal sealed class RedisNode : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(5);

    private readonly RedisConnections _connections;
    private readonly RedisWatch _watch;

    private RedisNode(RedisEndpoint endpoint, Messages<RedisConnection>? log)
    {
        var database = new RedisDatabase(endpoint, 0);
        _connections = new RedisConnections(new RedisOptions(database, database), TimeProvider.System, log is null ? NullLogger<RedisConnection>.Instance : log);
        _watch = new RedisWatch(_connections, TimeProvider.System);
        Connection = _connections.Cache!;
        Nodes = _connections.Nodes!;
        Limits = new RedisLimits(Connection, 0, Nodes);
    }

    public RedisConnection Connection { get; }

    public RedisLimits Limits { get; }

    public RedisNodes Nodes { get; }

    /// <summary>A node that has begun to connect.</summary>
    public static async Task<RedisNode> StartAsync(RedisServer server, string? user = null, string? password = null, bool tls = false, Messages<RedisConnection>? log = null)
    {
        var node = new RedisNode(new RedisEndpoint("127.0.0.1", server.Port, user, password, tls), log);
        await node._watch.StartAsync(CancellationToken.None);
        return node;
    }

    /// <summary>A node that has found its server.</summary>
    /// <param name="isPatient">True for one that waits for a busy machine longer than a real one does.</param>
    public static async Task<RedisNode> ConnectAsync(int port, bool isPatient = true)
    {
        var endpoint = new RedisEndpoint("127.0.0.1", port, null, null, IsTls: false);
        return await ConnectAsync(isPatient ? endpoint with { Patience = Patience } : endpoint);
    }

    /// <summary>A node that has found the servers it was told of.</summary>
    public static async Task<RedisNode> ConnectAsync(RedisEndpoint endpoint)
    {
        var node = new RedisNode(endpoint, null);
        await node._watch.StartAsync(CancellationToken.None);
        await WaitForAsync(() => node.Connection.IsWritable);
        return node;
    }

    public static Task<RedisNode> ConnectAsync(RedisServer server) => ConnectAsync(server.Port);

    public static async Task WaitForAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!condition())
            await pace.WaitForNextTickAsync(patience.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _watch.StopAsync(CancellationToken.None);
        _watch.Dispose();
        await _connections.DisposeAsync();
    }
}
