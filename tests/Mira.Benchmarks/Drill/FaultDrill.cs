using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Mira.Benchmarks.Load;
using Mira.Domain.Tokens;
using Mira.TestServers;

namespace Mira.Benchmarks.Drill;

/// <summary>
/// Two nodes on one PostgreSQL and one Redis, watched by a Prometheus with the shipped rules, while what they stand on
/// is taken away and somebody misbehaves. Prints what every dashboard and alert showed. <c>build/drill.sh</c> calls it.
/// </summary>
internal sealed class FaultDrill : IAsyncDisposable
{
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-drill-").FullName;
    private readonly PostgresServer _postgres;
    private readonly RedisServer _redis;
    private readonly List<Server> _nodes = [];
    private readonly List<HttpClient> _clients = [];

    private FaultDrill(PostgresServer postgres, RedisServer redis) => (_postgres, _redis) = (postgres, redis);

    private string Admin => File.ReadAllText(Path.Combine(_folder, "admin")).Trim();

    /// <param name="arguments">The built Mira.Web.dll, then the repository's build folder, then, for a rehearsal, by
    /// how much everything is shorter (default 1).</param>
    public static async Task RunAsync(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var pace = arguments.Length > 2 ? double.Parse(arguments[2], CultureInfo.InvariantCulture) : 1;
        await using var postgres = await PostgresServer.StartNewAsync();
        await using var redis = await RedisServer.StartAsync();
        await using var drill = new FaultDrill(postgres, redis);
        await drill.PlayAsync(Path.GetFullPath(arguments[0]), Path.GetFullPath(arguments[1]), pace);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        foreach (var node in _nodes)
            node.Dispose();
        Directory.Delete(_folder, recursive: true);
        await ValueTask.CompletedTask;
    }

    private async Task PlayAsync(string binary, string build, double pace)
    {
        var settings = await SettingsAsync();
        for (var node = 0; node < 2; node++)
            _nodes.Add(await Server.StartAsync("/health/ready", [binary], settings));
        await using var prometheus = await PrometheusServer.StartAsync(_nodes.Select(node => node.Address), DrillRules.Interval, DrillRules.Shortened(build));
        var watch = new DrillWatch(prometheus, Path.Combine(build, "grafana", "dashboards"), [.. _nodes.Select(node => node.Address)]);
        var good = await CreateAsync(new { name = "good", role = "operator", rate_limit_per_minute = 1_000_000 });
        await using var load = new DrillLoad(_nodes.Select(node => Client(good, node)).ToList(), Client(Admin, _nodes[0]));

        Console.WriteLine(DrillRules.Description);
        await watch.WaitAsync(TimeSpan.FromSeconds(30 * pace));
        await SceneAsync("Redis killed", 25, async () =>
        {
            _redis.Kill();
            await Task.CompletedTask;
        }, () => _redis.StartAgainAsync());
        await SceneAsync("PostgreSQL stopped", 50, () => _postgres.StopAsync(), () => _postgres.StartAsync());
        await GuessAsync();
        await LeakAsync();

        async Task SceneAsync(string title, int seconds, Func<Task> begin, Func<Task> end)
        {
            load.Start();
            await watch.BeginAsync(title);
            await begin();
            await watch.WaitAsync(TimeSpan.FromSeconds(seconds * pace));
            await end();
            watch.MarkEnd();
            await watch.WaitAsync(Calm * pace);
            Console.WriteLine(watch.Report());
            Console.WriteLine($"Calls meanwhile, with a good key: {load.Calls()}. Keys made meanwhile: {load.Changes()}.");
        }

        // Well-formed keys that were never made, from one address, as fast as eight callers can.
        async Task GuessAsync()
        {
            using var stop = new CancellationTokenSource();
            Task[] guessers = [];
            await SceneAsync(
                "Brute force from one address",
                25,
                () =>
                {
                    guessers = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(() => RepeatAsync(() => AskAsync(_nodes[0], Token.Generate(KeyId.Generate()).Reveal(), "198.51.100.9"), stop.Token)))];
                    return Task.CompletedTask;
                },
                async () =>
                {
                    await stop.CancelAsync();
                    await Task.WhenAll(guessers);
                });
        }

        // First used by its owner and from elsewhere at once, then revoked and used on.
        async Task LeakAsync()
        {
            var leaked = await CreateAsync(new { name = "leaked", role = "viewer", allowed_ips = new[] { "203.0.113.7" }, rate_limit_per_minute = 100_000 });
            using var stop = new CancellationTokenSource();
            Task[] users = [];
            await SceneAsync(
                "A leaked key in use",
                15,
                () =>
                {
                    users =
                    [
                        Task.Run(() => RepeatAsync(() => AskAsync(_nodes[0], leaked, "203.0.113.7"), stop.Token)),
                        Task.Run(() => RepeatAsync(() => AskAsync(_nodes[1], leaked, "198.51.100.9"), stop.Token)),
                    ];
                    return Task.CompletedTask;
                },
                () => Task.CompletedTask);
            await SceneAsync(
                "The same key, revoked and used on",
                15,
                async () =>
                {
                    using var answer = await Client(Admin, _nodes[0]).DeleteAsync($"/api/keys/{leaked[..KeyId.Length]}?reason=leaked");
                    answer.EnsureSuccessStatusCode();
                },
                async () =>
                {
                    await stop.CancelAsync();
                    await Task.WhenAll(users);
                });
        }
    }

    private async Task<Dictionary<string, string>> SettingsAsync()
    {
        using var audit = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new Dictionary<string, string>
        {
            ["MIRA_STORE"] = "postgres",
            ["MIRA_POSTGRES"] = _postgres.ConnectionString(await _postgres.CreateDatabaseAsync()),
            ["MIRA_PEPPER"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
            ["MIRA_AUDIT_KEY"] = audit.ExportECPrivateKeyPem(),
            ["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(_folder, "admin"),
            ["MIRA_TRUSTED_PROXIES"] = "127.0.0.1",
            ["MIRA_DRAIN_SECONDS"] = "0",
            ["RATE_LIMIT_ADMIN"] = "10000",
            ["REDIS_HOST"] = "127.0.0.1",
            ["REDIS_PORT"] = _redis.Port.ToString(CultureInfo.InvariantCulture),
        };
    }

    private HttpClient Client(string token, Server node)
    {
        var client = new HttpClient { BaseAddress = node.Address };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        _clients.Add(client);
        return client;
    }

    private async Task<string> CreateAsync(object key)
    {
        using var answer = await Client(Admin, _nodes[0]).PostAsJsonAsync("/api/keys", key);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("api_key").GetString()!;
    }

    private static readonly HttpClient Anyone = new();

    private static async Task AskAsync(Server node, string token, string from)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(node.Address, "/api/auth/validate"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Headers.Add("X-Forwarded-For", from);
        using var answer = await Anyone.SendAsync(request);
    }

    private static async Task RepeatAsync(Func<Task> call, CancellationToken stop)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!stop.IsCancellationRequested)
        {
            await call();
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }
    }
}
