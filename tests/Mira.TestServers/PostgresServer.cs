using System.Diagnostics;
using System.Text;
using Npgsql;

namespace Mira.TestServers;

/// <summary>
/// A real PostgreSQL of the tests' own, on a free loopback port, with its data in a folder that goes with it. It is as
/// durable as one is by default, and can be stopped, killed, frozen and started again.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private const string User = "postgres";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("mira-postgres-").FullName;
    private readonly StringBuilder _log = new();
    private Process? _process;
    private int _databases;

    private PostgresServer()
    {
    }

    public int Port { get; } = FreePort.Find();

    /// <summary>What the server wrote so far.</summary>
    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    private string Data => Path.Combine(_folder, "data");

    public static async Task<PostgresServer> StartNewAsync()
    {
        var server = new PostgresServer();
        try
        {
            if (Environment.IsPrivilegedProcess)
                await server.RunAsync("chown", User, server._folder);
            // What it makes is synced once, by the server's own first checkpoint.
            await server.RunAsUserAsync(Binary("initdb"), "-D", server.Data, "-U", User, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync");
            await server.StartAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Another server that copies everything from this one, and can be read meanwhile.</summary>
    public async Task<PostgresServer> StartStandbyAsync()
    {
        var standby = new PostgresServer();
        try
        {
            if (Environment.IsPrivilegedProcess)
                await standby.RunAsync("chown", User, standby._folder);
            await standby.RunAsUserAsync(
                Binary("pg_basebackup"), "-h", "127.0.0.1", "-p", $"{Port}", "-U", User, "-D", standby.Data, "-R", "-X", "stream", "-c", "fast", "--no-sync");
            await standby.StartAsync();
            return standby;
        }
        catch
        {
            await standby.DisposeAsync();
            throw;
        }
    }

    /// <summary>From now on no commit is answered before a standby has it.</summary>
    public async Task CommitWithStandbyAsync()
    {
        await ExecuteAsync("ALTER SYSTEM SET synchronous_standby_names = '*'");
        await ExecuteAsync("SELECT pg_reload_conf()");
    }

    /// <summary>
    /// Makes a standby a primary, alone and without waiting for others, and returns when it takes writes.
    /// </summary>
    public async Task PromoteAsync()
    {
        await ExecuteAsync("SELECT pg_promote(true, 60)");
        await ExecuteAsync("ALTER SYSTEM RESET synchronous_standby_names");
        await ExecuteAsync("SELECT pg_reload_conf()");
    }

    /// <summary>Makes a server that was stopped start as a standby of another one.</summary>
    public async Task FollowAsync(PostgresServer primary)
    {
        var signal = Path.Combine(Data, "standby.signal");
        await File.WriteAllTextAsync(signal, "");
        await File.AppendAllTextAsync(
            Path.Combine(Data, "postgresql.auto.conf"), $"\nprimary_conninfo = 'host=127.0.0.1 port={primary.Port} user={User}'\nsynchronous_standby_names = ''\n");
        if (Environment.IsPrivilegedProcess)
            await RunAsync("chown", User, signal);
        await StartAsync();
    }

    /// <summary>How a database of this server is reached.</summary>
    /// <param name="port">Of a proxy before it; null for the server itself.</param>
    public string ConnectionString(string database, int? port = null) =>
        $"Host=127.0.0.1;Port={port ?? Port};Database={database};Username={User}";

    /// <summary>A database nobody has seen yet, and its name.</summary>
    /// <param name="template">One to copy, to which nobody is connected.</param>
    public async Task<string> CreateDatabaseAsync(string template = "template0")
    {
        var name = $"mira_{Interlocked.Increment(ref _databases)}";
        await ExecuteAsync($"CREATE DATABASE {name} TEMPLATE {template}");
        return name;
    }

    public Task DropDatabaseAsync(string name) => ExecuteAsync($"DROP DATABASE IF EXISTS {name} WITH (FORCE)");

    /// <summary>Runs one statement.</summary>
    public async Task ExecuteAsync(string sql, string database = "postgres")
    {
        await using var connection = await ConnectAsync(database);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>A connection beside all pools.</summary>
    public async Task<NpgsqlConnection> ConnectAsync(string database = "postgres")
    {
        var connection = new NpgsqlConnection(ConnectionString(database) + ";Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>Starts it, again on the same port after a stop, and returns when it answers.</summary>
    public async Task StartAsync()
    {
        var (file, arguments) = AsUser(
            Binary("postgres"), "-D", Data, "-p", $"{Port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=300");
        _process = Process.Start(Quiet(file, arguments))!;
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();

        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Pace);
        while (!await AnswersAsync())
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"PostgreSQL ended: {Log}");
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    /// <summary>Ends every connection and closes the database in order.</summary>
    public Task StopAsync() => EndAsync("INT");

    /// <summary>Ends as in a crash: what was committed is in its log, and recovered at the next start.</summary>
    public Task KillAsync() => EndAsync("QUIT");

    /// <summary>Freezes it with all its connections: they stay open, and nothing answers.</summary>
    public async Task PauseAsync()
    {
        // The one that would start others first.
        await SignalAsync("STOP", _process!.Id);
        foreach (var child in Children())
            await SignalAsync("STOP", child);
    }

    public async Task ResumeAsync()
    {
        foreach (var child in Children())
            await SignalAsync("CONT", child);
        await SignalAsync("CONT", _process!.Id);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            await ResumeAsync();
            await KillAsync();
        }

        _process?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>The folder with the server's commands; empty when they are on the path.</summary>
    public static string Binaries => Path.GetDirectoryName(Binary("postgres")) ?? "";

    // Debian keeps its binaries off the path, in a folder for each version.
    private static string Binary(string name)
    {
        var folders = Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql") : [];
        return folders.Select(folder => Path.Combine(folder, "bin", name)).Where(File.Exists).OrderDescending(StringComparer.Ordinal).FirstOrDefault() ?? name;
    }

    // The server refuses to run as root.
    private static (string File, string[] Arguments) AsUser(string file, params string[] arguments) => Environment.IsPrivilegedProcess
        ? ("setpriv", [$"--reuid={User}", $"--regid={User}", "--clear-groups", file, .. arguments])
        : (file, arguments);

    private static ProcessStartInfo Quiet(string file, IEnumerable<string> arguments) => new(file, arguments)
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        WorkingDirectory = "/",
    };

    private async Task EndAsync(string signal)
    {
        await SignalAsync(signal, _process!.Id);
        using var patience = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(patience.Token);
    }

    // One that has just ended cannot be signalled, and need not be.
    private static async Task SignalAsync(string name, int id)
    {
        using var kill = Process.Start(Quiet("kill", [$"-{name}", $"{id}"]))!;
        await kill.WaitForExitAsync();
    }

    private IEnumerable<int> Children() =>
        File.ReadAllText($"/proc/{_process!.Id}/task/{_process.Id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse);

    private async Task<bool> AnswersAsync()
    {
        try
        {
            await using var connection = await ConnectAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    private Task RunAsUserAsync(string file, params string[] arguments)
    {
        var (command, all) = AsUser(file, arguments);
        return RunAsync(command, all);
    }

    private async Task RunAsync(string file, params string[] arguments)
    {
        using var process = Process.Start(Quiet(file, arguments))!;
        process.OutputDataReceived += (_, line) => Append(line.Data);
        process.ErrorDataReceived += (_, line) => Append(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var patience = new CancellationTokenSource(Patience);
        await process.WaitForExitAsync(patience.Token);
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{file} {string.Join(' ', arguments)} ended with {process.ExitCode}: {Log}");
    }

    private void Append(string? line)
    {
        if (line is null)
            return;
        lock (_log)
            _log.AppendLine(line);
    }
}
