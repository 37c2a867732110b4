using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mira.Benchmarks;

/// <summary>
/// How long the published service takes from its start as a process until it says it is ready: on an empty folder, and
/// on one with many keys. <c>build/measure-start.sh</c> publishes it and calls this.
/// </summary>
internal sealed class StartMeasurement : IDisposable
{
    private const int DefaultKeys = 100_000;
    private const int DefaultRuns = 7;

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-start-").FullName;
    private readonly string _binary;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly HttpClient _client = new();

    /// <param name="settings">Beside those of the folder, which is its own.</param>
    public StartMeasurement(string binary, IReadOnlyDictionary<string, string> settings) => (_binary, _settings) = (binary, settings);

    private string Data => Path.Combine(_folder, "data");

    /// <param name="arguments">The published Mira.Web.dll, then how many keys and how many runs.</param>
    public static async Task RunAsync(string[] arguments)
    {
        var keys = arguments.Length > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : DefaultKeys;
        var runs = arguments.Length > 2 ? int.Parse(arguments[2], CultureInfo.InvariantCulture) : DefaultRuns;
        using var measurement = new StartMeasurement(Path.GetFullPath(arguments[0]), new Dictionary<string, string>());
        await measurement.MeasureAsync("empty folder", runs, isEmpty: true);

        var started = Stopwatch.GetTimestamp();
        SqliteKeys.Write(
            Path.Combine(measurement.Data, "mira.db"), await File.ReadAllTextAsync(Path.Combine(measurement.Data, "pepper")),
            await File.ReadAllTextAsync(Path.Combine(measurement.Data, "audit-key.pem")), keys);
        Print($"{keys} keys written in {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s, {new FileInfo(Path.Combine(measurement.Data, "mira.db")).Length >> 20} MiB");
        await measurement.MeasureAsync($"{keys} keys", runs, isEmpty: false);
    }

    public void Dispose()
    {
        _client.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    public async Task MeasureAsync(string what, int runs, bool isEmpty)
    {
        var (seconds, processor) = (new List<double>(), new List<double>());
        while (seconds.Count < runs)
        {
            if (isEmpty && Directory.Exists(Data))
                Directory.Delete(Data, recursive: true);
            var (elapsed, used) = await StartOnceAsync();
            seconds.Add(elapsed.TotalSeconds);
            processor.Add(used.TotalSeconds);
        }

        seconds.Sort();
        processor.Sort();
        Print($"{what} to ready: median {seconds[runs / 2]:0.00} s, best {seconds[0]:0.00} s, worst {seconds[^1]:0.00} s of {runs}; processor time {processor[runs / 2]:0.00} s");
    }

    private async Task<(TimeSpan Elapsed, TimeSpan Processor)> StartOnceAsync()
    {
        var address = $"http://127.0.0.1:{FreePort()}";
        var start = new ProcessStartInfo("dotnet", [_binary]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["MIRA_DATA_DIR"] = Data;
        start.Environment["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(_folder, "admin-key");
        start.Environment["MIRA_DRAIN_SECONDS"] = "0";
        start.Environment["ASPNETCORE_URLS"] = address;
        foreach (var (name, value) in _settings)
            start.Environment[name] = value;

        var started = Stopwatch.GetTimestamp();
        using var process = Process.Start(start)!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await WaitUntilReadyAsync(process, new Uri($"{address}/health/ready"));
        var elapsed = Stopwatch.GetElapsedTime(started);
        var processor = process.TotalProcessorTime;

        // The next start finds a folder as a crash leaves it, with its log still to be read.
        process.Kill();
        await process.WaitForExitAsync();
        return (elapsed, processor);
    }

    private async Task WaitUntilReadyAsync(Process process, Uri ready)
    {
        using var pace = new PeriodicTimer(Pace);
        while (await pace.WaitForNextTickAsync())
        {
            if (process.HasExited)
                throw new InvalidOperationException($"The service ended with exit code {process.ExitCode}.");

            try
            {
                using var answer = await _client.GetAsync(ready);
                if (answer.StatusCode == HttpStatusCode.OK)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void Print(FormattableString text) => Console.Out.WriteLine(text.ToString(CultureInfo.InvariantCulture));
}
