using System.Globalization;
using System.Text.RegularExpressions;

namespace Mira.TestServers;

/// <summary>A Redis Cluster of three primaries without replicas, on free loopback ports.</summary>
public sealed partial class RedisCluster : IAsyncDisposable
{
    private const int Slots = 16_384;

    private readonly List<RedisServer> _servers = [];
    private readonly List<int> _busPorts = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("mira-cluster-").FullName;

    public IReadOnlyList<RedisServer> Servers => _servers;

    /// <summary>A cluster that serves all slots.</summary>
    public static async Task<RedisCluster> StartAsync()
    {
        var cluster = new RedisCluster();
        for (var number = 0; number < 3; number++)
        {
            var busPort = FreePort.Find();
            var file = Path.Combine(cluster._folder, $"nodes-{number}.conf");
            cluster._busPorts.Add(busPort);
            cluster._servers.Add(await RedisServer.StartAsync("--cluster-enabled", "yes", "--cluster-port", $"{busPort}", "--cluster-config-file", file));
        }

        for (var number = 0; number < 3; number++)
        {
            var (first, last) = (number * Slots / 3, ((number + 1) * Slots / 3) - 1);
            await cluster.AskAsync(number, "CLUSTER", "ADDSLOTSRANGE", $"{first}", $"{last}");
            await cluster.AskAsync(number, "CLUSTER", "SET-CONFIG-EPOCH", $"{number + 1}");
        }

        for (var number = 1; number < 3; number++)
            await cluster.AskAsync(0, "CLUSTER", "MEET", "127.0.0.1", $"{cluster._servers[number].Port}", $"{cluster._busPorts[number]}");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await cluster.IsWholeAsync())
            await pace.WaitForNextTickAsync(patience.Token);
        return cluster;
    }

    /// <summary>Which server serves the key's slot.</summary>
    public async Task<int> OwnerOfAsync(string key)
    {
        var slot = await SlotOfAsync(key);
        return Enumerable.Range(0, 3).First(number => slot <= ((number + 1) * Slots / 3) - 1);
    }

    /// <summary>
    /// Begins to move the slot of a key: it and what is in it can be on either server until the move is ended.
    /// </summary>
    public async Task BeginMoveAsync(string key, int from, int to)
    {
        var slot = $"{await SlotOfAsync(key)}";
        await AskAsync(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await IdOfAsync(from));
        await AskAsync(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", await IdOfAsync(to));
    }

    /// <summary>Moves what is in the slot, and the slot.</summary>
    public async Task EndMoveAsync(string key, int from, int to)
    {
        var slot = $"{await SlotOfAsync(key)}";
        await AskAsync(from, "MIGRATE", "127.0.0.1", $"{_servers[to].Port}", key, "0", "5000");
        foreach (var number in new[] { to, from, 3 - to - from })
            await AskAsync(number, "CLUSTER", "SETSLOT", slot, "NODE", await IdOfAsync(to));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<bool> IsWholeAsync()
    {
        for (var number = 0; number < 3; number++)
        {
            var info = await _servers[number].AskAsync("CLUSTER", "INFO");
            if (!info.Contains("cluster_state:ok", StringComparison.Ordinal) || !info.Contains("cluster_known_nodes:3", StringComparison.Ordinal))
                return false;
        }

        return true;
    }

    private async Task<int> SlotOfAsync(string key) =>
        int.Parse((await _servers[0].AskAsync("CLUSTER", "KEYSLOT", key))[1..^2], CultureInfo.InvariantCulture);

    private async Task<string> IdOfAsync(int number) => IdForm().Match(await _servers[number].AskAsync("CLUSTER", "MYID")).Value;

    private async Task AskAsync(int number, params string[] command)
    {
        var answer = await _servers[number].AskAsync(command);
        if (answer.StartsWith('-'))
            throw new InvalidOperationException($"{string.Join(' ', command)}: {answer}");
    }

    [GeneratedRegex("[0-9a-f]{40}")]
    private static partial Regex IdForm();
}
