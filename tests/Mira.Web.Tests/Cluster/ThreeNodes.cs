using System.Net.Http.Headers;
using Mira.Client;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Cluster;

/// <summary>Three nodes, each a process of its own, on one PostgreSQL and one Redis that no other test uses.</summary>
internal sealed class ThreeNodes : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly List<MiraProcess> _processes = [];
    private readonly List<HttpClient> _clients = [];
    private (string Name, string Value)[] _settings = [];

    private ThreeNodes(PostgresServer postgres, RedisServer redis)
    {
        Postgres = postgres;
        Redis = redis;
        PostgresProxy = TcpProxy.Start(postgres.Port);
        RedisProxy = TcpProxy.Start(redis.Port);
    }

    public static int Count => 3;

    public PostgresServer Postgres { get; }

    public RedisServer Redis { get; }

    /// <summary>Before all nodes, when the test wanted it there.</summary>
    public TcpProxy PostgresProxy { get; }

    /// <summary>Between the second node and Redis.</summary>
    public TcpProxy RedisProxy { get; }

    public IReadOnlyList<MiraProcess> Processes => _processes;

    public string Admin => _folder.Admin;

    /// <param name="behindProxy">True to reach PostgreSQL through the proxy.</param>
    public static async Task<ThreeNodes> StartAsync(bool behindProxy = false, params (string Name, string Value)[] settings)
    {
        var servers = (Postgres: await PostgresServer.StartNewAsync(), Redis: await RedisServer.StartAsync());
        var nodes = new ThreeNodes(servers.Postgres, servers.Redis);
        try
        {
            var address = servers.Postgres.ConnectionString(await servers.Postgres.CreateDatabaseAsync(), behindProxy ? nodes.PostgresProxy.Port : null);
            nodes._settings = [.. SharedStore.SettingsFor(address), ("REDIS_HOST", "127.0.0.1"), .. settings];
            for (var node = 0; node < Count; node++)
                nodes.Begin(("REDIS_PORT", $"{(node == 1 ? nodes.RedisProxy.Port : servers.Redis.Port)}"));
            for (var node = 0; node < Count; node++)
                await nodes.WaitUntilHealthyAsync(node);
            return nodes;
        }
        catch
        {
            await nodes.DisposeAsync();
            throw;
        }
    }

    /// <summary>One more node, which ends with the others.</summary>
    /// <returns>Its number.</returns>
    public async Task<int> StartAnotherAsync(params (string Name, string Value)[] settings)
    {
        Begin([("REDIS_PORT", $"{Redis.Port}"), .. settings]);
        await _processes[^1].WaitUntilReadyAsync();
        return _processes.Count - 1;
    }

    /// <summary>With its store, its clock and its Redis.</summary>
    public Task WaitUntilHealthyAsync(int node) => MiraProcess.WaitForAsync(async () =>
        _processes[node].Process.HasExited
            ? throw new InvalidOperationException($"The node ended: {_processes[node].Output}{_processes[node].Error}")
            : await _processes[node].IsReadyAsync() && IsWell(await HealthAsync(node)));

    // Calls that were decided alone show for a minute after all is well again.
    private static bool IsWell(Reply health) => health.Field("status") == "healthy"
        || (health.Json.GetProperty("details") is var details
            && details.GetProperty("limits_shared").ToString() == "False"
            && new[] { "ready", "store_writable", "chain_intact", "clock_right", "redis" }.All(name => details.GetProperty(name).ToString() == "True"));

    public async Task<Reply> HealthAsync(int node)
    {
        using var admin = _processes[node].Http(Admin);
        return await admin.CallAsync("GET", "/health");
    }

    /// <summary>What a node answers to the holder of a token.</summary>
    public async Task<int> AskAsync(int node, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var answer = await _clients[node].SendAsync(request);
        return (int)answer.StatusCode;
    }

    public Task<int[]> AskAllAsync(string token) => Task.WhenAll(Enumerable.Range(0, Count).Select(node => AskAsync(node, token)));

    /// <summary>A new viewer's token.</summary>
    public async Task<string> CreateAsync(int node, int? limit = null) =>
        (await ManageAsync(node, client => client.CreateKeyAsync(new CreateKey { Name = "a key", Role = "viewer", RateLimitPerMinute = limit }))).ApiKey!;

    public async Task<string> RotateAsync(int node, string token) =>
        (await ManageAsync(node, client => client.RotateKeyAsync(MiraHost.IdOf(token), body: new RotateKey { GraceMinutes = 0 }))).ApiKey!;

    public Task RevokeAsync(int node, string token) => ManageAsync(node, client => client.RevokeKeyAsync(MiraHost.IdOf(token)));

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        foreach (var process in _processes)
            await process.DisposeAsync();
        PostgresProxy.Dispose();
        RedisProxy.Dispose();
        await Redis.DisposeAsync();
        await Postgres.DisposeAsync();
        _folder.Dispose();
    }

    private void Begin(params (string Name, string Value)[] settings)
    {
        _processes.Add(MiraProcess.Start(_folder, [.. _settings, .. settings]));
        _clients.Add(_processes[^1].Http());
    }

    private async Task<T> ManageAsync<T>(int node, Func<MiraClient, Task<T>> call)
    {
        using var http = _processes[node].Http(Admin);
        return await call(new MiraClient(http));
    }
}
