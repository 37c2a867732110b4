using Mira.Infrastructure.Redis;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>Limits over a real Redis Cluster while a slot moves, and over a real fail-over by a sentinel.</summary>
public class RedisTopologyTests
{
    private const int Limit = 100;

    [Test]
    public async Task In_a_cluster_each_key_is_counted_exactly_wherever_it_lies()
    {
        await using var cluster = await RedisCluster.StartAsync();
        // One server is enough to be told of the others.
        var nodes = await LimitedNode.ConnectAsync([.. cluster.Servers.Select(server => EndpointOf(server.Port))]);
        Assert.That(nodes.Select(node => node.Redis.Connection.IsCluster), Is.All.True);

        var owners = new HashSet<int>();
        var keys = Enumerable.Range(0, 24).Select(_ => LimitedNode.KeyOf(Limit)).ToList();
        foreach (var key in keys)
            owners.Add(await cluster.OwnerOfAsync($"mira:limit:{key.Id}"));
        var admitted = await Task.WhenAll(keys.Select(key => LimitedNode.BurstAsync(nodes, key, 150)));

        Assert.That(owners, Has.Count.EqualTo(3));
        Assert.That(admitted, Is.All.EqualTo(Limit));
        Assert.That(nodes.Sum(node => node.Limiter.DecidedAlone), Is.Zero);
        foreach (var node in nodes)
            await node.DisposeAsync();
    }

    [Test]
    public async Task A_limit_stays_exact_while_its_slot_moves()
    {
        await using var cluster = await RedisCluster.StartAsync();
        var nodes = await LimitedNode.ConnectAsync([.. cluster.Servers.Select(server => EndpointOf(server.Port))]);
        var key = LimitedNode.KeyOf(Limit);
        var name = $"mira:limit:{key.Id}";
        var from = await cluster.OwnerOfAsync(name);
        var to = (from + 1) % 3;

        var admitted = await LimitedNode.BurstAsync(nodes, key, 30);
        await cluster.BeginMoveAsync(name, from, to);
        admitted += await LimitedNode.BurstAsync(nodes, key, 30);
        await cluster.EndMoveAsync(name, from, to);
        admitted += await LimitedNode.BurstAsync(nodes, key, 300);

        Assert.That(admitted, Is.EqualTo(Limit));
        Assert.That(nodes.Sum(node => node.Limiter.DecidedAlone), Is.Zero);
        foreach (var node in nodes)
            await node.DisposeAsync();
    }

    [Test]
    public async Task A_cluster_that_lost_a_primary_is_away_and_not_silently_local()
    {
        await using var cluster = await RedisCluster.StartAsync();
        await using var node = await RedisNode.ConnectAsync(EndpointOf(cluster.Servers[0].Port));
        cluster.Servers[1].Kill();
        await RedisNode.WaitForAsync(() => !node.Connection.IsWritable);

        await cluster.Servers[1].StartAgainAsync();
        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
    }

    [Test]
    public async Task In_a_cluster_another_database_than_0_is_told()
    {
        await using var cluster = await RedisCluster.StartAsync();
        var log = new Ledger.Messages<RedisConnection>();
        await using var connection = new RedisConnection(EndpointOf(cluster.Servers[0].Port), 1, TimeProvider.System, log);
        await connection.ProbeAsync();
        Assert.That(connection.IsAvailable, Is.False);
        Assert.That((await log.NextAsync()).Text, Does.Contain("away"));
    }

    [Test]
    public async Task After_a_fail_over_the_new_primary_counts_on()
    {
        await using var sentinel = await RedisSentinel.StartAsync();
        var endpoint = EndpointOf(sentinel.Port) with { Sentinel = RedisSentinel.Service };
        var nodes = await LimitedNode.ConnectAsync(endpoint, endpoint, endpoint);
        var key = LimitedNode.KeyOf(Limit);
        var admitted = await LimitedNode.BurstAsync(nodes, key, 60);
        Assert.That(admitted, Is.EqualTo(60));
        await RedisNode.WaitForAsync(() => sentinel.Replica.AskAsync("EXISTS", $"mira:limit:{key.Id}").Result == ":1\r\n");

        sentinel.Primary.Kill();
        await RedisNode.WaitForAsync(() => nodes.All(node => !node.Redis.Connection.IsWritable));
        await RedisNode.WaitForAsync(() => nodes.All(node => node.Redis.Connection.IsWritable));
        admitted += await LimitedNode.BurstAsync(nodes, key, 300);

        // The replica may have missed the last writes; what it has is counted on, and no node passes its own limit.
        Assert.That(admitted, Is.InRange(Limit, 2 * Limit));
        TestContext.Out.WriteLine($"{admitted} of {Limit} admitted over a fail-over");
        foreach (var node in nodes)
            await node.DisposeAsync();
    }

    private static RedisEndpoint EndpointOf(int port) => new("127.0.0.1", port, null, null, IsTls: false);
}
