using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace Mira.TestServers;

/// <summary>
/// A real Prometheus on a free loopback port, with its data and its configuration in a folder that goes with it.
/// </summary>
public sealed class PrometheusServer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-prometheus-").FullName;
    private readonly StringBuilder _log = new();
    private readonly HttpClient _http;
    private Process? _process;

    private PrometheusServer(int port)
    {
        Address = new Uri($"http://127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}");
        _http = new HttpClient { BaseAddress = Address };
    }

    public Uri Address { get; }

    /// <summary>Starts one that scrapes these nodes as the job <c>mira</c>, and waits until it is ready.</summary>
    /// <param name="interval">Of scrapes and of the rules.</param>
    /// <param name="rules">Files of rules by name, with their text.</param>
    public static async Task<PrometheusServer> StartAsync(IEnumerable<Uri> nodes, TimeSpan interval, IReadOnlyDictionary<string, string>? rules = null)
    {
        var server = new PrometheusServer(FreePort.Find());
        try
        {
            await server.StartAsync(Configuration(nodes, interval), rules ?? new Dictionary<string, string>());
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>What an expression says now, one row for each series; NaN is kept.</summary>
    /// <exception cref="InvalidOperationException">It is no expression.</exception>
    public async Task<IReadOnlyList<Sample>> QueryAsync(string expression)
    {
        using var form = new FormUrlEncodedContent([new("query", expression)]);
        using var answer = await _http.PostAsync("/api/v1/query", form);
        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        if (json.GetProperty("status").GetString() != "success")
            throw new InvalidOperationException($"{expression}: {json}");

        var data = json.GetProperty("data");
        return data.GetProperty("resultType").GetString() == "scalar"
            ? [new Sample(new Dictionary<string, string>(), Number(data.GetProperty("result")))]
            : [.. data.GetProperty("result").EnumerateArray().Select(row => new Sample(Labels(row.GetProperty("metric")), Number(row.GetProperty("value"))))];
    }

    /// <summary>The alerts that are pending or firing now, as <c>name state</c> with their labels.</summary>
    public async Task<IReadOnlyList<Alert>> AlertsAsync()
    {
        var json = await _http.GetFromJsonAsync<JsonElement>("/api/v1/alerts");
        return [.. json.GetProperty("data").GetProperty("alerts").EnumerateArray().Select(alert => new Alert(
            alert.GetProperty("labels").GetProperty("alertname").GetString()!, alert.GetProperty("state").GetString()!, Labels(alert.GetProperty("labels"))))];
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string Configuration(IEnumerable<Uri> nodes, TimeSpan interval)
    {
        var milliseconds = interval.TotalMilliseconds.ToString(CultureInfo.InvariantCulture);
        return $"""
            global:
              scrape_interval: {milliseconds}ms
              scrape_timeout: {milliseconds}ms
              evaluation_interval: {milliseconds}ms
            rule_files: ['*.rules.yml']
            scrape_configs:
              - job_name: mira
                static_configs:
                  - targets: [{string.Join(", ", nodes.Select(node => $"'{node.Authority}'"))}]
            """;
    }

    private async Task StartAsync(string configuration, IReadOnlyDictionary<string, string> rules)
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "prometheus.yml"), configuration);
        foreach (var (name, text) in rules)
            await File.WriteAllTextAsync(Path.Combine(_folder, name), text);
        _process = Process.Start(new ProcessStartInfo(
            "prometheus",
            [
                "--config.file", Path.Combine(_folder, "prometheus.yml"), "--storage.tsdb.path", Path.Combine(_folder, "data"), "--web.listen-address", Address.Authority,
                "--log.level", "warn",
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await IsReadyAsync())
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"Prometheus ended: {_log}");
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            using var answer = await _http.GetAsync("/-/ready");
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }

    private static Dictionary<string, string> Labels(JsonElement metric) => metric.EnumerateObject().ToDictionary(label => label.Name, label => label.Value.GetString()!);

    private static double Number(JsonElement value) => double.Parse(value[1].GetString()!.Replace("Inf", "∞", StringComparison.Ordinal), CultureInfo.InvariantCulture);

    private void Append(string? line)
    {
        lock (_log)
            _log.AppendLine(line);
    }
}

public sealed record Sample(IReadOnlyDictionary<string, string> Labels, double Value);

/// <param name="State">pending or firing.</param>
public sealed record Alert(string Name, string State, IReadOnlyDictionary<string, string> Labels);
