using Mira.Application.Settings;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>Where PostgreSQL is (<c>MIRA_POSTGRES</c>), and how long it is waited for.</summary>
public sealed class PostgresOptions
{
    public const string Setting = "MIRA_POSTGRES";

    private const string Path = "Mira:Postgres";

    /// <summary>
    /// The server itself gives up before the client does, so that an ordinary wait costs no connection. Whoever holds a lock and is gone or
    /// frozen loses it.
    /// </summary>
    private const string ServerLimits = "-c lock_timeout=1500 -c statement_timeout=1800 -c idle_in_transaction_session_timeout=4000";

    /// <summary>When even that does not come through, nobody waits for the client's own attempts to be polite.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2.2);

    private const int PatienceSeconds = 2;
    private const int PoolSize = 30;

    private readonly NpgsqlConnectionStringBuilder _given;

    private PostgresOptions(NpgsqlConnectionStringBuilder given) => _given = given;

    /// <summary>The database and its servers, for people; without user and password.</summary>
    public string Place => $"PostgreSQL, {_given.Database} on {_given.Host}";

    /// <summary>For calls: nothing waits longer than two seconds.</summary>
    public string Calls => With(builder =>
    {
        builder.Options = $"{builder.Options} {ServerLimits}".Trim();
        builder.CommandTimeout = PatienceSeconds;
        builder.CancellationTimeout = -1;
    });

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

    public static bool AreGiven(SettingReader settings) => settings.Text(Setting, Path) is not null;

    /// <exception cref="SettingException">It is missing, or no connection string.</exception>
    public static PostgresOptions Read(SettingReader settings)
    {
        var text = settings.Text(Setting, Path) ?? throw new SettingException(Setting, "must be given with MIRA_STORE=postgres");
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(text);
            return string.IsNullOrWhiteSpace(builder.Host) || string.IsNullOrWhiteSpace(builder.Database)
                ? throw new SettingException(Setting, "must name a host and a database, like Host=db;Database=mira;Username=mira;Password=…")
                : new PostgresOptions(builder);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            throw new SettingException(Setting, "is not a connection string of PostgreSQL, like Host=db;Database=mira;Username=mira;Password=…", exception);
        }
    }

    private string With(Action<NpgsqlConnectionStringBuilder> set)
    {
        var builder = new NpgsqlConnectionStringBuilder(_given.ConnectionString) { Timeout = PatienceSeconds };
        builder.ApplicationName ??= "mira";
        if (!_given.ContainsKey("Maximum Pool Size"))
            builder.MaxPoolSize = Math.Max(PoolSize, builder.MinPoolSize);
        set(builder);
        return builder.ConnectionString;
    }
}
