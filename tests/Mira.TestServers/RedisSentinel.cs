using System.Diagnostics;
using System.Globalization;

namespace Mira.TestServers;

/// <summary>
/// A primary, its replica and a sentinel that makes the replica the primary when the other one is gone for a second.
/// </summary>
public sealed class RedisSentinel : IAsyncDisposable
{
    public const string Service = "mira";

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-sentinel-").FullName;
    private Process? _sentinel;

    private RedisSentinel(RedisServer primary, RedisServer replica) => (Primary, Replica) = (primary, replica);

    public RedisServer Primary { get; }

    public RedisServer Replica { get; }

    /// <summary>The sentinel's.</summary>
    public int Port { get; } = FreePort.Find();

    /// <summary>A replica that follows, and a sentinel that knows both.</summary>
    public static async Task<RedisSentinel> StartAsync()
    {
        var primary = await RedisServer.StartAsync("--repl-diskless-sync-delay", "0");
        var replica = await RedisServer.StartAsync("--replicaof", $"127.0.0.1 {primary.Port}");
        var sentinel = new RedisSentinel(primary, replica);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!(await replica.AskAsync("INFO", "replication")).Contains("master_link_status:up", StringComparison.Ordinal))
            await pace.WaitForNextTickAsync(patience.Token);
        sentinel.StartSentinel();
        while (!(await sentinel.AskAsync("SENTINEL", "replicas", Service)).Contains(replica.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal))
            await pace.WaitForNextTickAsync(patience.Token);
        return sentinel;
    }

    public async ValueTask DisposeAsync()
    {
        if (_sentinel is { HasExited: false })
        {
            _sentinel.Kill();
            await _sentinel.WaitForExitAsync();
        }

        _sentinel?.Dispose();
        await Replica.DisposeAsync();
        await Primary.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private void StartSentinel()
    {
        var file = Path.Combine(_folder, "sentinel.conf");
        File.WriteAllText(
            file,
            $"""
            port {Port}
            bind 127.0.0.1
            dir {_folder}
            sentinel monitor {Service} 127.0.0.1 {Primary.Port} 1
            sentinel down-after-milliseconds {Service} 1000
            sentinel failover-timeout {Service} 5000

            """);
        _sentinel = Process.Start(new ProcessStartInfo("redis-server", [file, "--sentinel"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _sentinel.OutputDataReceived += (_, _) => { };
        _sentinel.ErrorDataReceived += (_, _) => { };
        _sentinel.BeginOutputReadLine();
        _sentinel.BeginErrorReadLine();
    }

    private async Task<string> AskAsync(params string[] command)
    {
        try
        {
            return await RedisServer.AskAsync(Port, command);
        }
        catch (System.Net.Sockets.SocketException)
        {
            return "";
        }
    }
}
