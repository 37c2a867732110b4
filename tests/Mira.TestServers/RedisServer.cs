using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mira.TestServers;

/// <summary>
/// A real redis-server on a free loopback port, which keeps nothing on disk and can be killed, held and started again.
/// </summary>
public sealed class RedisServer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly string[] _options;
    private readonly bool _isTls;
    private Process? _process;

    private RedisServer(int port, bool isTls, string[] options)
    {
        Port = port;
        _isTls = isTls;
        _options = options;
    }

    public int Port { get; }

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>A server that does not run yet.</summary>
    /// <param name="options">More of redis-server's own options, like <c>"--requirepass", "x"</c>.</param>
    public static RedisServer Absent(params string[] options) => new(FreePort.Find(), isTls: false, options);

    /// <summary>A server that answers.</summary>
    public static async Task<RedisServer> StartAsync(params string[] options)
    {
        var server = Absent(options);
        await server.StartAgainAsync();
        return server;
    }

    /// <summary>A server that speaks TLS alone.</summary>
    public static async Task<RedisServer> StartTlsAsync(TestCertificates certificates, params string[] options)
    {
        var server = new RedisServer(
            FreePort.Find(),
            isTls: true,
            ["--tls-cert-file", certificates.Certificate, "--tls-key-file", certificates.Key, "--tls-ca-cert-file", certificates.Authority, "--tls-auth-clients", "no", .. options]);
        await server.StartAgainAsync();
        return server;
    }

    /// <summary>Starts it, for the first time or again on the same port, and waits until it listens.</summary>
    public async Task StartAgainAsync()
    {
        var port = Port.ToString(CultureInfo.InvariantCulture);
        string[] ports = _isTls ? ["--port", "0", "--tls-port", port] : ["--port", port];
        var start = new ProcessStartInfo("redis-server", [.. ports, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", Path.GetTempPath(), .. _options])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await ListensAsync())
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"redis-server ended with {_process.ExitCode}.");
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    public void Kill()
    {
        _process!.Kill();
        _process.WaitForExit();
    }

    /// <summary>It stands still and keeps its connections.</summary>
    /// <summary>
    /// Gives the server the processor before others, as if it had a machine to itself. Without the right to do that
    /// nothing changes.
    /// </summary>
    public void GoFirst()
    {
        try
        {
            _process!.PriorityClass = ProcessPriorityClass.High;
        }
        catch (Win32Exception)
        {
            // Only root may.
        }
    }

    public void Pause() => Signal("STOP");

    public void Resume() => Signal("CONT");

    /// <summary>
    /// Sends one command over a connection of its own and gives back the answer as it came; not for TLS.
    /// </summary>
    public async Task<string> AskAsync(params string[] command)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port);
        await using var stream = client.GetStream();
        if (Array.IndexOf(_options, "--requirepass") is >= 0 and var at)
            await SendAsync(stream, ["AUTH", _options[at + 1]]);
        return await SendAsync(stream, command);
    }

    /// <summary>The same for whatever speaks Redis's protocol on a port, without a password.</summary>
    public static async Task<string> AskAsync(int port, params string[] command)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        await using var stream = client.GetStream();
        return await SendAsync(stream, command);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
    }

    private async Task<bool> ListensAsync()
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static async Task<string> SendAsync(NetworkStream stream, string[] command)
    {
        var text = $"*{command.Length}\r\n" + string.Concat(command.Select(part => $"${Encoding.UTF8.GetByteCount(part)}\r\n{part}\r\n"));
        await stream.WriteAsync(Encoding.UTF8.GetBytes(text));
        var buffer = new byte[65_536];
        var length = await stream.ReadAsync(buffer);
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", _process!.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }
}
