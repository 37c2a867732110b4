using Mira.Client;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Observability;

/// <summary>A node in a process of its own, with a Redis, and calls of every kind that its figures tell of.</summary>
internal sealed class Traffic : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly RedisServer _redis;
    private readonly List<HttpClient> _clients = [];
    private string _good = "";
    private string _ended = "";
    private string _elsewhere = "";
    private string _limited = "";

    private Traffic(RedisServer redis)
    {
        _redis = redis;
        Node = MiraProcess.Start(
            _folder, ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{redis.Port}"), ("RATE_LIMIT_FAILURES", "5"), ("LOG_REQUESTS", "true"));
    }

    public MiraProcess Node { get; }

    public string Admin => _folder.Admin;

    public static async Task<Traffic> StartAsync()
    {
        var traffic = new Traffic(await RedisServer.StartAsync());
        try
        {
            await traffic.Node.WaitUntilReadyAsync();
            await traffic.MakeKeysAsync();
            return traffic;
        }
        catch
        {
            await traffic.DisposeAsync();
            throw;
        }
    }

    public HttpClient Http(string? token = null)
    {
        var client = Node.Http(token);
        _clients.Add(client);
        return client;
    }

    /// <summary>
    /// Good keys and bad ones, ended ones, one used from elsewhere, one beyond its limit, unknown addresses, and
    /// changes of keys.
    /// </summary>
    public async Task CallAsync()
    {
        var anonymous = Http();
        await Http(_good).ValidateAsync();
        await Http(_ended).ValidateAsync();
        await Http(_elsewhere).ValidateAsync();
        await Http(_limited).ValidateAsync();
        await Http(_good[..^1] + (_good[^1] == '0' ? '1' : '0')).ValidateAsync();
        await anonymous.ValidateAsync();
        await anonymous.CallAsync("GET", "/nowhere");
        await Http(_good).CallAsync("GET", "/nowhere");
        await anonymous.CallAsync("GET", $"/api/auth/validate?api_key={_good}");
        var admin = new MiraClient(Http(_folder.Admin));
        var made = await admin.CreateKeyAsync(new CreateKey { Name = "a key", Role = "viewer", ExpiryDays = 2 });
        await admin.RotateKeyAsync(made.KeyId);
        await admin.RevokeKeyAsync(made.KeyId);
        foreach (var client in _clients)
            client.Dispose();
        _clients.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        await Node.DisposeAsync();
        await _redis.DisposeAsync();
        _folder.Dispose();
    }

    private async Task MakeKeysAsync()
    {
        var admin = new MiraClient(Http(_folder.Admin));
        _good = await MakeAsync(new CreateKey { Name = "good", Role = "operator" });
        _ended = await MakeAsync(new CreateKey { Name = "ended", Role = "viewer" });
        _elsewhere = await MakeAsync(new CreateKey { Name = "elsewhere", Role = "viewer", AllowedIps = ["203.0.113.7"] });
        _limited = await MakeAsync(new CreateKey { Name = "limited", Role = "viewer", RateLimitPerMinute = 1 });
        await admin.RevokeKeyAsync(MiraHost.IdOf(_ended));

        async Task<string> MakeAsync(CreateKey key) => (await admin.CreateKeyAsync(key)).ApiKey!;
    }
}
