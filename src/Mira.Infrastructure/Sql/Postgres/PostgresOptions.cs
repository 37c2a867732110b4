using System.Data.Common;
using System.Net.Sockets;
using Mira.Application.Settings;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>Where PostgreSQL is (<c>MIRA_POSTGRES</c>), and how long it is waited for.</summary>
public sealed class PostgresOptions
{
    public const string Setting = "MIRA_POSTGRES";

    internal const string Unreachable = "the database cannot be reached";

    private const string Path = "Mira:Postgres";

    /// <summary>
    /// The server itself gives up before the client does, so that an ordinary wait costs no connection. Whoever holds a
    /// lock and is gone or frozen loses it.
    /// </summary>
    private const string ServerLimits = "-c lock_timeout=1500 -c statement_timeout=1800 -c idle_in_transaction_session_timeout=4000";

    /// <summary>
    /// The same limits for one transaction. A connection pooler such as PgBouncer takes no startup options, and in
    /// transaction mode the settings of a session belong to somebody else in the next one.
    /// </summary>
    internal const string TransactionLimits =
        "SET LOCAL lock_timeout = 1500; SET LOCAL statement_timeout = 1800; SET LOCAL idle_in_transaction_session_timeout = 4000; ";

    /// <summary>
    /// When even that does not come through, nobody waits for the client's own attempts to be polite.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2.2);

    private const int PatienceSeconds = 2;
    private const int PoolSize = 30;
    private const int PooledPoolSize = 8;
    private const int IdleSeconds = 5;

    /// <summary>Others may take the session between two questions.</summary>
    private const int LooksForSharing = 5;

    /// <summary>
    /// How long it is believed which of several hosts is the primary, in seconds. Npgsql's own ten would keep a standby
    /// that was promoted from being used for as long.
    /// </summary>
    private const int RoleSeconds = 1;

    private readonly NpgsqlConnectionStringBuilder _given;

    private PostgresOptions(NpgsqlConnectionStringBuilder given) => _given = given;

    /// <summary>The database and its servers, for people; without user and password.</summary>
    public string Place => $"PostgreSQL, {_given.Database} on {_given.Host}";

    /// <summary>Does a connection pooler stand before the server? <see cref="FindPoolerAsync"/> finds out.</summary>
    public bool HasPooler { get; private set; }

    /// <summary>
    /// Does each connection keep a session of the server to itself? Not behind a pooler in transaction mode, where what
    /// is listened for would come to whoever has the session then.
    /// </summary>
    public bool KeepsSessions { get; private set; } = true;

    /// <summary>For calls: nothing waits longer than two seconds.</summary>
    public string Calls => With(builder =>
    {
        if (HasPooler)
            ShareWithOthers(builder);
        else
            builder.Options = $"{builder.Options} {ServerLimits}".Trim();
        builder.CommandTimeout = PatienceSeconds;
        // With several hosts a timeout must count against its host (Npgsql does so with any wait but -1), or each call
        // would begin with the dead one.
        builder.CancellationTimeout = IsSeveral ? 1 : -1;
    });

    /// <summary>For a command that only reads, and may take its time: nothing that a pooler refuses.</summary>
    public string Reading => With(_ => { });

    /// <summary>For the start: a migration may take its time.</summary>
    public string Migrations => With(builder =>
    {
        builder.CommandTimeout = 0;
        builder.Pooling = false;
    });

    /// <summary>For listening: a dead connection is noticed although nothing is asked.</summary>
    public string Listening => With(builder =>
    {
        builder.KeepAlive = PatienceSeconds;
        builder.CommandTimeout = PatienceSeconds;
        builder.Pooling = false;
    });

    private bool IsSeveral => IsList(_given);

    public static bool AreGiven(SettingReader settings) => settings.Text(Setting, Path) is not null;

    /// <exception cref="SettingException">It is missing, or no connection string.</exception>
    public static PostgresOptions Read(SettingReader settings)
    {
        var text = settings.Text(Setting, Path) ?? throw new SettingException(Setting, "must be given with MIRA_STORE=postgres");
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(text);
            if (string.IsNullOrWhiteSpace(builder.Host) || string.IsNullOrWhiteSpace(builder.Database))
                throw new SettingException(Setting, "must name a host and a database, like Host=db;Database=mira;Username=mira;Password=…");
            DemandPrimary(builder);
            return new PostgresOptions(builder);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            throw new SettingException(Setting, "is not a connection string of PostgreSQL, like Host=db;Database=mira;Username=mira;Password=…", exception);
        }
    }

    /// <summary>
    /// Finds out whether a pooler stands between: it refuses startup options, or names another process than the one
    /// that answers. What else the server refuses is left for the start to meet.
    /// </summary>
    /// <exception cref="SettingException">The server cannot be reached.</exception>
    public async Task FindPoolerAsync(CancellationToken cancellationToken)
    {
        try
        {
            var address = With(builder =>
            {
                builder.Options = ServerLimits;
                builder.CommandTimeout = PatienceSeconds;
                builder.Pooling = false;
            });
            await using var connection = await ConnectAsync(address, cancellationToken);
            HasPooler = await AskProcessAsync(connection, cancellationToken) != connection.ProcessID;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ProtocolViolation)
        {
            HasPooler = true;
        }
        catch (Exception exception) when (exception is PostgresException or ArgumentException)
        {
            // The start meets it again, and says what is wrong.
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or SocketException)
        {
            // Said here: a start that waited a second time would take too long to say it.
            throw new SettingException(Setting, Unreachable, exception);
        }

        KeepsSessions = !HasPooler || !await ShareASessionAsync(cancellationToken);
    }

    // Two connections that are open at once are answered by one process only if the pooler gives it out anew for each
    // transaction.
    private async Task<bool> ShareASessionAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var one = await ConnectAsync(Listening, cancellationToken);
            await using var other = await ConnectAsync(Listening, cancellationToken);
            for (var look = 0; look < LooksForSharing; look++)
            {
                if (await AskProcessAsync(one, cancellationToken) == await AskProcessAsync(other, cancellationToken))
                    return true;
            }

            return false;
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or SocketException or ArgumentException)
        {
            // The start meets it again. To listen in vain does no harm.
            return false;
        }
    }

    /// <exception cref="TimeoutException">The server does not answer.</exception>
    private static async Task<NpgsqlConnection> ConnectAsync(string address, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(address);
        var opening = connection.OpenAsync(cancellationToken);
        try
        {
            await opening.WaitAsync(Patience, cancellationToken);
            return connection;
        }
        catch
        {
            _ = DisposeAfterAsync(opening, connection);
            throw;
        }
    }

    // A connection that is still being opened cannot be closed.
    private static async Task DisposeAfterAsync(Task opening, NpgsqlConnection connection)
    {
        await opening.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await connection.DisposeAsync();
    }

    private static async Task<int> AskProcessAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    // A pooler in session mode has one session of the server for each connection, 20 in all as it comes, and keeps
    // others waiting while one is held idle.
    private void ShareWithOthers(NpgsqlConnectionStringBuilder builder)
    {
        builder.NoResetOnClose = true;
        if (!_given.ShouldSerialize("Maximum Pool Size"))
            builder.MaxPoolSize = Math.Max(PooledPoolSize, builder.MinPoolSize);
        if (!_given.ShouldSerialize("Connection Idle Lifetime"))
            (builder.ConnectionIdleLifetime, builder.ConnectionPruningInterval) = (IdleSeconds, IdleSeconds);
    }

    private static bool IsList(NpgsqlConnectionStringBuilder builder) => builder.Host!.Contains(',', StringComparison.Ordinal);

    // A standby's data may be old without bound; a session that may go to one is refused before it is used. One host
    // needs no choice.
    private static void DemandPrimary(NpgsqlConnectionStringBuilder builder)
    {
        var isPrimary = (builder.TargetSessionAttributes ?? "").Replace("-", "", StringComparison.Ordinal).ToUpperInvariant() is "" or "PRIMARY" or "READWRITE";
        if (!isPrimary)
            throw new SettingException(Setting, "must not allow standbys, whose data may be old: Target Session Attributes can be primary or read-write, and is primary without it");

        if (!IsList(builder))
            builder.Remove("Target Session Attributes");
        else if (builder.TargetSessionAttributes is null)
            builder.TargetSessionAttributes = "primary";
    }

    private string With(Action<NpgsqlConnectionStringBuilder> set)
    {
        var builder = new NpgsqlConnectionStringBuilder(_given.ConnectionString) { Timeout = IsSeveral ? RoleSeconds : PatienceSeconds };
        if (IsSeveral && !_given.ShouldSerialize("Host Recheck Seconds"))
            builder.HostRecheckSeconds = RoleSeconds;
        builder.ApplicationName ??= "mira";
        if (!_given.ShouldSerialize("Maximum Pool Size"))
            builder.MaxPoolSize = Math.Max(PoolSize, builder.MinPoolSize);
        set(builder);
        return builder.ConnectionString;
    }
}
