using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using Mira.Benchmarks.Load;
using Mira.Domain.Ledger;
using Mira.TestServers;
using Npgsql;

namespace Mira.Benchmarks;

/// <summary>
/// The service on a PostgreSQL with very many keys: how long a start takes, what a key costs that is read for the first
/// time, and whether warm keys are as fast as on a small database. It needs wrk.
/// </summary>
internal sealed class ManyKeysMeasurement(string binary, int count, PostgresServer postgres, string folder)
{
    private const int DefaultKeys = 1_000_000;
    private const int Warm = 10_000;
    private const int Cold = 500;
    private const int Runs = 5;
    private const int Connections = 64;

    private readonly string _pepper = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
    private readonly string _auditKey = AuditKey.Generate().ExportPem();

    /// <param name="arguments">The built Mira.Web.dll, then how many keys.</param>
    public static async Task RunAsync(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var count = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : DefaultKeys;
        var folder = Directory.CreateTempSubdirectory("mira-many-").FullName;
        try
        {
            await using var postgres = await PostgresServer.StartNewAsync();
            await new ManyKeysMeasurement(Path.GetFullPath(arguments[0]), count, postgres, folder).RunAsync();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task RunAsync()
    {
        var (many, tokens) = await FillAsync(count);
        var (few, fewTokens) = await FillAsync(Warm + Cold);
        foreach (var (database, keys) in ((string, int)[])[(many, count), (few, Warm + Cold)])
        {
            using var start = new StartMeasurement(binary, SettingsOf(database));
            await start.MeasureAsync($"{keys} keys in PostgreSQL", Runs, isEmpty: false);
        }

        using var large = await StartAsync(many);
        using var small = await StartAsync(few);
        await MeasureColdAsync(large, many, [.. tokens.Take(Cold)]);
        await PresentAsync(large, tokens.Skip(Cold));
        await PresentAsync(small, fewTokens.Skip(Cold));
        await MeasureWarmAsync(
            new Contestant("large", large, Save("large", tokens.Skip(Cold)), "/api/auth/validate"),
            new Contestant("small", small, Save("small", fewTokens.Skip(Cold)), "/api/auth/validate"));
    }

    private async Task<(string Database, IReadOnlyList<string> Tokens)> FillAsync(int keys)
    {
        var database = await postgres.CreateDatabaseAsync();
        (await StartAsync(database)).Dispose();
        var started = Stopwatch.GetTimestamp();
        await using var connection = await postgres.ConnectAsync(database);
        await using var patient = new NpgsqlCommand("SET statement_timeout = 0", connection);
        await patient.ExecuteNonQueryAsync();
        var tokens = await PostgresKeys.WriteAsync(connection, _pepper, _auditKey, keys, Warm + Cold);
        await using var size = new NpgsqlCommand("SELECT pg_database_size(current_database()) >> 20", connection);
        Console.WriteLine($"{keys} keys written in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s, {await size.ExecuteScalarAsync()} MiB");
        return (database, tokens);
    }

    private async Task MeasureColdAsync(Server server, string database, string[] tokens)
    {
        // The first one opens the connection. With a wrong secret the key is read all the same, and no use of it is
        // written.
        string[] wrong = [.. tokens.Select(ManyKeys.WithAnotherSecret)];
        await TimeAsync(server, wrong[..1]);
        var before = await ScansAsync(database);
        var cold = await TimeAsync(server, wrong[1..]);
        var after = await ScansAsync(database);
        var warm = await TimeAsync(server, tokens[1..]);
        // Of the looks at the index of secrets two are the planner's, who looks at both of its ends.
        Console.WriteLine(
            $"first call of a key: median {cold:0.00} ms, its second {warm:0.00} ms; reads for each: "
            + $"{PerKey(after.Keys - before.Keys)} of the index of keys, {PerKey(after.Secrets - before.Secrets)} of that of secrets, {after.Whole - before.Whole} of a whole table in all (two of the secrets' are the planner's)");

        string PerKey(long scans) => $"{(double)scans / (tokens.Length - 1):0.00}";
    }

    private async Task<(long Keys, long Secrets, long Whole)> ScansAsync(string database)
    {
        await using var connection = await postgres.ConnectAsync(database);
        // What a session counted is seen by others a second later at most, or when it is idle.
        await using var command = new NpgsqlCommand(
            """
            SELECT pg_sleep(2);
            SELECT sum(idx_scan) FILTER (WHERE relname = 'keys'), sum(idx_scan) FILTER (WHERE relname = 'secrets'),
                sum(seq_scan) FILTER (WHERE relname IN ('keys', 'secrets')) FROM pg_stat_user_tables
            """, connection);
        await using var row = await command.ExecuteReaderAsync();
        await row.NextResultAsync();
        await row.ReadAsync();
        return ((long)row.GetDecimal(0), (long)row.GetDecimal(1), (long)row.GetDecimal(2));
    }

    private static async Task<double> TimeAsync(Server server, string[] tokens)
    {
        var times = new List<double>();
        using var http = new HttpClient { BaseAddress = server.Address };
        foreach (var token in tokens)
        {
            var began = Stopwatch.GetTimestamp();
            using var request = Request(token);
            using var answer = await http.SendAsync(request);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        times.Sort();
        return times[times.Count / 2];
    }

    private async Task MeasureWarmAsync(params Contestant[] contestants)
    {
        foreach (var contestant in contestants)
            await Wrk.RunAsync(contestant, folder, Connections, 12);
        for (var round = 0; round < Runs; round++)
        {
            foreach (var contestant in contestants)
                contestant.Results.Add(await Wrk.RunAsync(contestant, folder, Connections, 3));
        }

        var ratios = contestants[0].Results.Zip(contestants[1].Results, (large, small) => (Processor: large.Processor / small.Processor, Rate: large.Rate / small.Rate)).ToList();
        Console.WriteLine(
            $"{Warm} warm keys, against a database of {Warm + Cold}: {ratios.Select(ratio => ratio.Processor).Order().ElementAt(Runs / 2):0.00} x the processor time, "
            + $"{ratios.Select(ratio => ratio.Rate).Order().ElementAt(Runs / 2):0.00} x the throughput (medians of {Runs} interleaved rounds)");
    }

    private Dictionary<string, string> SettingsOf(string database) => new()
    {
        ["MIRA_STORE"] = "postgres",
        ["MIRA_POSTGRES"] = postgres.ConnectionString(database),
        ["MIRA_PEPPER"] = _pepper,
        ["MIRA_AUDIT_KEY"] = _auditKey,
        ["RATE_LIMIT_VIEWER"] = "10000000",
        ["RATE_LIMIT_OPERATOR"] = "10000000",
        ["RATE_LIMIT_FAILURES"] = "10000000",
    };

    private Task<Server> StartAsync(string database) => Server.StartAsync("/health/ready", [binary], new Dictionary<string, string>(SettingsOf(database))
    {
        ["MIRA_DATA_DIR"] = Path.Combine(folder, "data"),
        ["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(folder, $"admin-{database}"),
        ["MIRA_DRAIN_SECONDS"] = "0",
    });

    private static async Task PresentAsync(Server server, IEnumerable<string> tokens)
    {
        using var http = new HttpClient { BaseAddress = server.Address };
        await Parallel.ForEachAsync(tokens, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (token, cancellationToken) =>
        {
            using var request = Request(token);
            using var answer = await http.SendAsync(request, cancellationToken);
            answer.EnsureSuccessStatusCode();
        });
    }

    private static HttpRequestMessage Request(string token) =>
        new(HttpMethod.Get, "/api/auth/validate") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", token) } };

    private string Save(string name, IEnumerable<string> lines)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllLines(path, lines);
        return path;
    }
}
