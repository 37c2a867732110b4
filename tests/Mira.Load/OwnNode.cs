using System.Diagnostics;
using System.Text;
using Mira.TestServers;

namespace Mira.Load;

/// <summary>A node as a process of its own, with a store in a temporary folder.</summary>
public sealed class OwnNode : IAsyncDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    private readonly string _folder;
    private readonly string _adminFile;
    private readonly StringBuilder _output = new();

    private OwnNode(string folder, string adminFile, Uri address, ProcessStartInfo start)
    {
        _folder = folder;
        _adminFile = adminFile;
        Address = address;
        Process = new Process { StartInfo = start };
    }

    public Uri Address { get; }

    public Process Process { get; }

    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    public string Admin => File.ReadAllText(_adminFile).Trim();

    /// <summary>Starts the service and waits until it is ready.</summary>
    /// <param name="binary">The path of Mira.Web.dll.</param>
    /// <param name="settings">Settings that win over those of this class.</param>
    /// <exception cref="InvalidOperationException">The process ended instead.</exception>
    public static async Task<OwnNode> StartAsync(string binary, params (string Name, string Value)[] settings)
    {
        var folder = Directory.CreateTempSubdirectory("mira-node-").FullName;
        var address = new Uri($"http://127.0.0.1:{FreePort.Find()}");
        var start = new ProcessStartInfo("dotnet", [binary])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_URLS"] = address.ToString();
        start.Environment["MIRA_DATA_DIR"] = Path.Combine(folder, "data");
        start.Environment["MIRA_BOOTSTRAP_KEY_FILE"] = Path.Combine(folder, "first-admin");
        start.Environment["MIRA_DRAIN_SECONDS"] = "0";
        foreach (var (name, value) in settings)
            start.Environment[name] = value;

        var node = new OwnNode(folder, start.Environment["MIRA_BOOTSTRAP_KEY_FILE"]!, address, start);
        node.Begin();
        try
        {
            await node.WaitUntilReadyAsync();
            return node;
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!Process.HasExited)
        {
            Process.Kill();
            await Process.WaitForExitAsync();
        }

        Process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void Begin()
    {
        Process.OutputDataReceived += (_, line) => Keep(line.Data);
        Process.ErrorDataReceived += (_, line) => Keep(line.Data);
        Process.Start();
        Process.BeginOutputReadLine();
        Process.BeginErrorReadLine();
    }

    private async Task WaitUntilReadyAsync()
    {
        using var http = new HttpClient { BaseAddress = Address };
        using var timeout = new CancellationTokenSource(Timeout);
        using var timer = new PeriodicTimer(Pause);
        while (!await IsReadyAsync(http, timeout.Token))
        {
            if (Process.HasExited)
                throw new InvalidOperationException($"The node ended: {Output}");
            await timer.WaitForNextTickAsync(timeout.Token);
        }
    }

    private static async Task<bool> IsReadyAsync(HttpClient http, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await http.GetAsync(new Uri("/health/ready", UriKind.Relative), cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
    }
}
