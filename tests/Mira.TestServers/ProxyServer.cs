using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mira.TestServers;

/// <summary>
/// A real nginx, Caddy or HAProxy on a free loopback port, with its files in a folder that goes with it.
/// </summary>
public sealed class ProxyServer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-proxy-").FullName;
    private readonly StringBuilder _log = new();
    private Process? _process;

    public int Port { get; } = FreePort.Find();

    /// <summary>What it said of itself.</summary>
    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    /// <param name="servers">What belongs into <c>http</c>. <c>{port}</c> is where it listens.</param>
    public static Task<ProxyServer> StartNginxAsync(string servers) => StartAsync(
        "nginx", ["-p", "{folder}", "-c", "{folder}/nginx.conf", "-e", "stderr"], ("nginx.conf", $$"""
            daemon off;
            master_process off;
            pid {folder}/pid;
            error_log stderr;
            events { }
            http {
                access_log off;
                client_body_temp_path {folder}/body;
                proxy_temp_path {folder}/proxy;
                fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi;
                scgi_temp_path {folder}/scgi;
            {{servers}}
            }
            """));

    /// <param name="sites">A Caddyfile without its global options. <c>{port}</c> is where it listens.</param>
    public static Task<ProxyServer> StartCaddyAsync(string sites) => StartAsync(
        "caddy", ["run", "--config", "{folder}/Caddyfile", "--adapter", "caddyfile"],
        ("Caddyfile", "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n" + sites));

    /// <param name="configuration">All of it. <c>{port}</c> is where it listens, and <c>{folder}/mira.lua</c> the
    /// script.</param>
    public static Task<ProxyServer> StartHaproxyAsync(string configuration, string script) => StartAsync(
        "haproxy", ["-db", "-f", "{folder}/haproxy.cfg"], ("haproxy.cfg", configuration), ("mira.lua", script));

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<ProxyServer> StartAsync(string command, string[] arguments, params (string Name, string Text)[] files)
    {
        var server = new ProxyServer();
        try
        {
            foreach (var (name, text) in files)
                await File.WriteAllTextAsync(Path.Combine(server._folder, name), server.Fill(text) + "\n");
            await server.RunAsync(command, [.. arguments.Select(server.Fill)]);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    private string Fill(string text) => text
        .Replace("{folder}", _folder, StringComparison.Ordinal)
        .Replace("{port}", Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private async Task RunAsync(string command, string[] arguments)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var home in (string[])["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"])
            start.Environment[home] = _folder;
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await ListensAsync())
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"{command} ended: {Log}");
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    private async Task<bool> ListensAsync()
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Append(string? line)
    {
        lock (_log)
            _log.AppendLine(line);
    }
}
