using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.TestServers;

namespace Mira.Benchmarks.Load;

/// <summary>
/// The service under load beside a bare action, in interleaved rounds on one machine. <c>build/bench.sh</c> installs
/// what it needs and calls it.
/// </summary>
internal sealed class LoadBench : IAsyncDisposable
{
    private const int Keys = 10_000;
    private const int Connections = 64;
    private const int WarmSeconds = 8;

    /// <summary>
    /// Not counted, before each round, so that it finds its server as one in use: with leases of tokens, and nothing
    /// left to do for another.
    /// </summary>
    private const int LeadSeconds = 2;

    private const int PairSeconds = 2;
    private const string NoLimit = "10000000";

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-load-").FullName;
    private readonly PostgresServer _postgres;
    private readonly RedisServer _redis;
    private readonly List<Server> _servers = [];
    private readonly List<Contestant> _contestants = [];

    private LoadBench(PostgresServer postgres, RedisServer redis) => (_postgres, _redis) = (postgres, redis);

    /// <param name="arguments">The built Mira.Web.dll, then how many rounds and how many seconds each takes (longer
    /// than the 10 s a lease of tokens may live, or rounds have no part in fetching them), then letters of contestants
    /// (default: all).</param>
    public static async Task RunAsync(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var rounds = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : 5;
        var seconds = arguments.Length > 2 ? int.Parse(arguments[2], CultureInfo.InvariantCulture) : 12;
        await using var postgres = await PostgresServer.StartNewAsync();
        await using var redis = await RedisServer.StartAsync();
        await using var bench = new LoadBench(postgres, redis);
        await bench.PrepareAsync(Path.GetFullPath(arguments[0]));
        if (arguments.Length > 3)
            bench._contestants.RemoveAll(contestant => !arguments[3].Contains(contestant.Name[0], StringComparison.Ordinal));
        await bench.MeasureAsync(rounds, seconds);
    }

    public ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            server.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task PrepareAsync(string binary)
    {
        var bare = Add(await Server.StartAsync("/api/auth/validate", [typeof(LoadBench).Assembly.Location, "bare", "{address}"], new Dictionary<string, string>()));
        var embedded = await StartMiraAsync(binary, "sqlite", []);
        var tokens = await CreateAsync(embedded, "sqlite");
        var sharing = new Dictionary<string, string>
        {
            ["MIRA_STORE"] = "postgres",
            ["MIRA_POSTGRES"] = _postgres.ConnectionString(await _postgres.CreateDatabaseAsync()),
            ["MIRA_PEPPER"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
            ["MIRA_AUDIT_KEY"] = AuditKey.Generate().ExportPem(),
            ["REDIS_HOST"] = "127.0.0.1",
            ["REDIS_PORT"] = _redis.Port.ToString(CultureInfo.InvariantCulture),
        };
        var shared = await StartMiraAsync(binary, "postgres", sharing);
        var sharedTokens = await CreateAsync(shared, "postgres");
        // In databases of their own: of one key's window each takes its own share.
        sharing["RATE_LIMIT_STORAGE"] = $"redis://127.0.0.1:{_redis.Port}/1";
        var hundredThousand = await StartMiraAsync(binary, "postgres", sharing, "100000");
        await PresentAsync(hundredThousand, sharedTokens);
        sharing["RATE_LIMIT_STORAGE"] = $"redis://127.0.0.1:{_redis.Port}/2";
        var tenThousand = await StartMiraAsync(binary, "postgres", sharing, "10000");
        await PresentAsync(tenThousand, sharedTokens);
        var unknown = Save("unknown", Enumerable.Range(0, Keys).Select(_ => Token.Generate(KeyId.Generate()).Reveal()));
        var broken = Save("broken", File.ReadLines(tokens).Select(token => token[..^1] + (token[^1] == '0' ? '1' : '0')));
        var caller = File.ReadLines(Path.Combine(_folder, "sqlite-operator")).First();

        _contestants.Add(new Contestant("a bare action", bare, tokens, "/api/auth/validate"));
        _contestants.Add(new Contestant("b validate", embedded, tokens, "/api/auth/validate"));
        _contestants.Add(new Contestant("c validate, PostgreSQL and Redis", shared, sharedTokens, "/api/auth/validate") { Redis = _redis });
        _contestants.Add(new Contestant("d forward", embedded, tokens, "/api/auth/forward"));
        _contestants.Add(new Contestant("e verify", embedded, tokens, "/api/keys/verify") { Method = "POST", Caller = caller });
        _contestants.Add(new Contestant("f unknown key", embedded, unknown, "/api/auth/validate") { IsRefused = true });
        _contestants.Add(new Contestant("g bad checksum", embedded, broken, "/api/auth/validate") { IsRefused = true });
        _contestants.Add(new Contestant("h as c, limit 100 000", hundredThousand, sharedTokens, "/api/auth/validate") { Redis = _redis });
        _contestants.Add(new Contestant("i as c, limit 10 000", tenThousand, sharedTokens, "/api/auth/validate") { Redis = _redis });
        // The pair of b: OpenTelemetry's own switch, with which nobody listens to any instrument. The service's own
        // counts go on.
        var unmeasured = await StartMiraAsync(binary, "unmeasured", new Dictionary<string, string> { ["OTEL_SDK_DISABLED"] = "true" });
        _contestants.Add(new Contestant("j validate, nothing measured", unmeasured, await CreateAsync(unmeasured, "unmeasured"), "/api/auth/validate"));
    }

    private Server Add(Server server)
    {
        _servers.Add(server);
        return server;
    }

    private async Task<Server> StartMiraAsync(string binary, string name, Dictionary<string, string> settings, string limit = NoLimit)
    {
        settings["MIRA_DATA_DIR"] = Path.Combine(_folder, name);
        settings["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(_folder, $"{name}-admin");
        settings["MIRA_DRAIN_SECONDS"] = "0";
        foreach (var role in (string[])["VIEWER", "OPERATOR", "ADMIN"])
            settings[$"RATE_LIMIT_{role}"] = limit;
        settings["RATE_LIMIT_FAILURES"] = NoLimit;
        return Add(await Server.StartAsync("/health/ready", [binary], settings));
    }

    /// <summary>Makes the keys over HTTP, as a user would; their tokens are in the file returned.</summary>
    private async Task<string> CreateAsync(Server server, string name)
    {
        using var http = new HttpClient { BaseAddress = server.Address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(Path.Combine(_folder, $"{name}-admin"))).Trim());
        var tokens = new string[Keys];
        await Parallel.ForAsync(0, Keys, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (index, _) => tokens[index] = await IssueOneAsync(http, "viewer"));
        Save($"{name}-operator", [await IssueOneAsync(http, "operator")]);
        var file = Save($"{name}-tokens", tokens);
        await PresentAsync(server, file);
        return file;
    }

    /// <summary>Has each key read once, as they are when a service has run for a while.</summary>
    private static async Task PresentAsync(Server server, string tokens)
    {
        using var http = new HttpClient { BaseAddress = server.Address };
        await Parallel.ForEachAsync(File.ReadLines(tokens), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (token, cancellationToken) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate");
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var answer = await http.SendAsync(request, cancellationToken);
            answer.EnsureSuccessStatusCode();
        });
    }

    private static async Task<string> IssueOneAsync(HttpClient http, string role)
    {
        using var answer = await http.PostAsJsonAsync("/api/keys", new { name = "bench", role });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("api_key").GetString()!;
    }

    private string Save(string name, IEnumerable<string> lines)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllLines(path, lines);
        return path;
    }

    private async Task MeasureAsync(int rounds, int seconds)
    {
        // Compiled to the last tier, which takes the runtime some 10 s of load, and every entry in memory.
        for (var pass = 0; pass < 2; pass++)
        {
            foreach (var contestant in _contestants)
                await Wrk.RunAsync(contestant, _folder, Connections, WarmSeconds);
        }

        for (var round = 0; round < rounds; round++)
        {
            foreach (var contestant in _contestants)
            {
                await Wrk.RunAsync(contestant, _folder, Connections, LeadSeconds);
                contestant.Results.Add(await Wrk.RunAsync(contestant, _folder, Connections, seconds));
            }
        }

        for (var round = 0; round < rounds; round++)
        {
            foreach (var contestant in _contestants)
                contestant.Pairs.Add(await Wrk.RunAsync(contestant, _folder, 2, PairSeconds));
        }

        Print(_contestants, rounds, seconds);
        PrintCostOfMetrics(_contestants);
    }

    // Each round's own ratio, so that what disturbs the machine disturbs both.
    private static void PrintCostOfMetrics(List<Contestant> contestants)
    {
        if (contestants.Find(one => one.Name[0] == 'b') is not { } measured || contestants.Find(one => one.Name[0] == 'j') is not { } unmeasured)
            return;

        var ratios = measured.Results.Zip(unmeasured.Results, (with, without) => with.Processor / without.Processor).Order().ToList();
        Console.WriteLine($"metrics cost {100 * (Median(ratios) - 1):0.0} % of the server's processor time for a validation (median of {ratios.Count} rounds; half of them between {100 * (ratios[ratios.Count / 4] - 1):0.0} and {100 * (ratios[ratios.Count * 3 / 4] - 1):0.0} %)");
    }

    private static void Print(List<Contestant> contestants, int rounds, int seconds)
    {
        Console.WriteLine($"{rounds} interleaved rounds of {seconds} s, {Connections} connections; medians of the rounds; ratios are medians of each round's own ratio");
        Console.WriteLine("| | µs of the server per request | ratio | requests/s | ratio | p50 ms | p99 ms | p99 ratio | p99 ms at 2 connections | Redis round trips per request |");
        Console.WriteLine("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        var bare = contestants[0];
        foreach (var one in contestants)
        {
            var processor = Median(one.Results.Zip(bare.Results, (mine, its) => mine.Processor / its.Processor));
            var rate = Median(one.Results.Zip(bare.Results, (mine, its) => mine.Rate / its.Rate));
            var slowest = Median(one.Results.Zip(bare.Results, (mine, its) => mine.Slowest / its.Slowest));
            Console.WriteLine(
                $"| {one.Name} | {Median(one.Results.Select(result => result.Processor)):0.0} | {processor:0.00} | {Median(one.Results.Select(result => result.Rate)):0} | {rate:0.00} "
                + $"| {Median(one.Results.Select(result => result.Median)):0.00} | {Median(one.Results.Select(result => result.Slowest)):0.00} | {slowest:0.00} | {Median(one.Pairs.Select(result => result.Slowest)):0.000} "
                + $"| {(one.Redis is null ? "" : Median(one.Results.Select(result => result.RoundTrips)).ToString("0.0000", CultureInfo.InvariantCulture))} |");
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
    }
}

/// <summary>Requests of one kind to one server.</summary>
/// <param name="TokenFile">A token a line, taken in turn.</param>
internal sealed record Contestant(string Name, Server Server, string TokenFile, string Path)
{
    public string Method { get; init; } = "GET";

    /// <summary>Who asks about the tokens; null when each is presented itself.</summary>
    public string? Caller { get; init; }

    /// <summary>Is each request to be refused?</summary>
    public bool IsRefused { get; init; }

    /// <summary>Where limits are counted; null when it is at the server itself.</summary>
    public RedisServer? Redis { get; init; }

    /// <summary>Scripts run for limits so far. Nodes that nobody calls run none.</summary>
    public async Task<long> CountRoundTripsAsync() => Redis is null ? 0 : ScriptCalls(await Redis.AskAsync("INFO", "commandstats"));

    private static long ScriptCalls(string info) =>
        Regex.Matches(info, @"cmdstat_eval(?:sha)?:calls=(\d+)").Sum(match => long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture));

    public List<WrkResult> Results { get; } = [];

    /// <summary>At two connections.</summary>
    public List<WrkResult> Pairs { get; } = [];
}
