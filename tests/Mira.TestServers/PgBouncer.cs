using System.Diagnostics;
using Npgsql;

namespace Mira.TestServers;

/// <summary>A real PgBouncer before a real PostgreSQL, with the settings it comes with.</summary>
public sealed class PgBouncer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-pgbouncer-").FullName;
    private Process? _process;

    private PgBouncer()
    {
    }

    public int Port { get; } = FreePort.Find();

    /// <param name="mode"><c>session</c> or <c>transaction</c>.</param>
    /// <param name="more">Further lines of its settings.</param>
    public static async Task<PgBouncer> StartAsync(PostgresServer server, string database, string mode, params string[] more)
    {
        var pooler = new PgBouncer();
        try
        {
            await pooler.StartAsync(server.ConnectionString(database), server.Port, database, mode, more);
            return pooler;
        }
        catch
        {
            await pooler.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        _process = null;
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync(string address, int server, string database, string mode, string[] more)
    {
        var settings = Path.Combine(_folder, "pgbouncer.ini");
        await File.WriteAllLinesAsync(
            settings,
            [
                "[databases]",
                $"{database} = host=127.0.0.1 port={server} dbname={database} user=postgres",
                "[pgbouncer]",
                "listen_addr = 127.0.0.1",
                $"listen_port = {Port}",
                "unix_socket_dir =",
                "auth_type = any",
                $"pool_mode = {mode}",
                .. more,
            ]);
        string[] command = [Binary(), settings];
        if (Environment.IsPrivilegedProcess)
        {
            // It refuses to run as root.
            using var own = Process.Start("chown", ["-R", "postgres", _folder]);
            await own.WaitForExitAsync();
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", .. command];
        }

        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = "/" };
        _process = Process.Start(start)!;
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await AnswersAsync($"{address};Port={Port};Pooling=false"))
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"PgBouncer ended with {_process.ExitCode}.");
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    // Debian keeps it with the servers, off the path of most users.
    private static string Binary() => File.Exists("/usr/sbin/pgbouncer") ? "/usr/sbin/pgbouncer" : "pgbouncer";

    private static async Task<bool> AnswersAsync(string address)
    {
        try
        {
            await using var connection = new NpgsqlConnection(address);
            await connection.OpenAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }
}
