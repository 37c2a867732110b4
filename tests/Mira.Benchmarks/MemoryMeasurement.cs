using System.Globalization;
using System.Net.Http.Headers;
using Mira.Benchmarks.Load;

namespace Mira.Benchmarks;

/// <summary>
/// How much managed heap an entry takes in the real service: one that was read and whose key was not used, and one that
/// was used, with its caller, its answer and its meter. The service runs as it is, with <see cref="StartupHook"/> in
/// it, which tells of its heap.
/// </summary>
internal static class MemoryMeasurement
{
    private const int DefaultKeys = 50_000;
    private const int Callers = 8;

    /// <param name="arguments">The built Mira.Web.dll, then how many keys.</param>
    public static async Task RunAsync(string[] arguments)
    {
        var binary = Path.GetFullPath(arguments[0]);
        var count = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : DefaultKeys;
        var folder = Directory.CreateTempSubdirectory("mira-memory-").FullName;
        try
        {
            (await StartAsync(binary, folder, count)).Dispose();
            var tokens = SqliteKeys.Write(
                Path.Combine(folder, "data", "mira.db"), await File.ReadAllTextAsync(Path.Combine(folder, "data", "pepper")),
                await File.ReadAllTextAsync(Path.Combine(folder, "data", "audit-key.pem")), count + 100);
            using var server = await StartAsync(binary, folder, count);
            using var http = new HttpClient { BaseAddress = server.Address };

            // What the service makes once, before the first figure.
            await PresentAsync(http, tokens.Skip(count));
            await PresentAsync(http, tokens.Skip(count).Select(ManyKeys.WithAnotherSecret));
            var before = await server.ReadHeapAsync();
            await PresentAsync(http, tokens.Take(count).Select(ManyKeys.WithAnotherSecret));
            var unused = await server.ReadHeapAsync();
            await PresentAsync(http, tokens.Take(count));
            var used = await server.ReadHeapAsync();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{count} keys; bytes of managed heap for each: {(double)(unused - before) / count:0} read and not used, {(double)(used - before) / count:0} used a moment ago"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Task<Server> StartAsync(string binary, string folder, int count) => Server.StartAsync("/health/ready", [binary], new Dictionary<string, string>
    {
        ["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location,
        ["MIRA_DATA_DIR"] = Path.Combine(folder, "data"),
        ["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(folder, "admin"),
        ["MIRA_DRAIN_SECONDS"] = "0",
        ["RATE_LIMIT_FAILURES"] = "10000000",
        // Twice as many as are there: the directory lets go of some before it is full.
        ["Mira__Verification__CacheSize"] = (2 * count).ToString(CultureInfo.InvariantCulture),
    });

    private static Task PresentAsync(HttpClient http, IEnumerable<string> tokens) =>
        Parallel.ForEachAsync(tokens, new ParallelOptions { MaxDegreeOfParallelism = Callers }, async (token, cancellationToken) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate");
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var answer = await http.SendAsync(request, cancellationToken);
        });
}
