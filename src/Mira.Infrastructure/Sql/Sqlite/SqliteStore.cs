using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Storage;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// The embedded store: one SQLite file, write-ahead log, each commit synced to the disk before it is answered.
/// </summary>
public sealed class SqliteStore(IDbContextFactory<MiraDbContext> contexts, DataFolder folder, TimeProvider clock, SchemaOptions? schema = null)
    : SqlStore(contexts, schema)
{
    /// <summary>How long a statement waits for a lock that another process holds, in seconds.</summary>
    private const int BusySeconds = 2;

    public override string Setting => DataFolder.Setting;

    public static void Configure(DbContextOptionsBuilder options, DataFolder folder)
    {
        var connection = new SqliteConnectionStringBuilder
        {
            DataSource = folder.Database,
            ForeignKeys = true,
            DefaultTimeout = BusySeconds,
        };
        options.UseSqlite(connection.ToString()).AddInterceptors(new DurableConnection(folder, connection.ToString()));
    }

    /// <summary>
    /// Makes or upgrades the database. The caller holds the data folder's lock. Where the disk has no room even for
    /// SQLite's files beside it, a database that needs no upgrade is opened for reading, until
    /// <see cref="TakeUpWritingAsync"/>.
    /// </summary>
    /// <exception cref="SettingException">It is damaged or cannot be written.</exception>
    public override async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (!MayChangeTables && !File.Exists(folder.Database))
            throw TablesMissing();

        try
        {
            SafeFile.Touch(folder.Database);
            await using var database = await Contexts.CreateDbContextAsync(cancellationToken);
            await database.Database.OpenConnectionAsync(cancellationToken);
            await CheckIntegrityAsync(database, cancellationToken);
            // Before anything is written: an older version leaves a newer one's database as it is.
            await IsCurrentAsync(database, cancellationToken);
            await database.Database.ExecuteSqlRawAsync("PRAGMA journal_mode=WAL", cancellationToken);
            await ClearMigrationLockAsync(database, cancellationToken);
            if (await IsCurrentAsync(database, cancellationToken))
                return;
            await MigrateAsync(database, cancellationToken);
        }
        catch (Exception exception) when (exception is DbException or DbUpdateException or IOException or UnauthorizedAccessException)
        {
            if (!await TryOpenForReadingAsync(cancellationToken))
                throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged or cannot be written", exception);
        }
    }

    /// <inheritdoc/>
    internal override async Task TakeUpWritingAsync(CancellationToken cancellationToken)
    {
        if (!folder.IsReadOnly)
            return;

        // Tried apart from the others: until there is room they can do nothing but read.
        var apart = new SqliteConnectionStringBuilder { DataSource = folder.Database, Pooling = false, DefaultTimeout = BusySeconds };
        await using var connection = new SqliteConnection(apart.ToString());
        await connection.OpenAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL; UPDATE ledger_head SET seq = seq; INSERT INTO probe (id, at) VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET at = at + 1";
        await command.ExecuteNonQueryAsync(cancellationToken);
        folder.IsReadOnly = false;
        SqliteConnection.ClearAllPools();
        // Another connection is open before this one ends: the last one to end would write the log back while some may
        // still read the file as it was.
        await using var database = await Contexts.CreateDbContextAsync(cancellationToken);
        await database.Database.OpenConnectionAsync(cancellationToken);
        await database.Heads.AnyAsync(cancellationToken);
    }

    // The file alone holds everything only when no log with changes lies beside it.
    private async Task<bool> TryOpenForReadingAsync(CancellationToken cancellationToken)
    {
        SqliteConnection.ClearAllPools();
        var log = new FileInfo(folder.Database + "-wal");
        if (new FileInfo(folder.Database) is not { Exists: true, Length: > 0 } || log is { Exists: true, Length: > 0 })
            return false;

        folder.IsReadOnly = true;
        try
        {
            await using var database = await Contexts.CreateDbContextAsync(cancellationToken);
            await database.Database.OpenConnectionAsync(cancellationToken);
            await CheckIntegrityAsync(database, cancellationToken);
            if (await IsCurrentAsync(database, cancellationToken))
                return true;
        }
        catch (DbException)
        {
            // It is damaged, or no database at all.
        }

        folder.IsReadOnly = false;
        return false;
    }

    /// <inheritdoc/>
    protected override async Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(
        DateTimeOffset now, IReadOnlyCollection<string> except, CancellationToken cancellationToken)
    {
        if (!File.Exists(folder.Database))
            throw new SettingException(DataFolder.Setting, "there is no store in the data folder");

        try
        {
            return await CountAsync(now, except, cancellationToken);
        }
        catch (DbException exception)
        {
            throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged", exception);
        }
    }

    /// <inheritdoc/>
    public override async Task<bool> IsThereAsync(CancellationToken cancellationToken)
    {
        try
        {
            return File.Exists(folder.Database) && await HasTablesAsync(cancellationToken);
        }
        catch (DbException exception)
        {
            throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged", exception);
        }
    }

    // The transaction took the lock of the whole file when it began.
    // One prepared statement: making one for each secret would cost several times as much as running it.
    internal override async Task TouchAsync(MiraDbContext database, IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken)
    {
        await using var command = (SqliteCommand)database.Database.GetDbConnection().CreateCommand();
        command.Transaction = (SqliteTransaction)database.Database.CurrentTransaction!.GetDbTransaction();
        command.CommandText =
            "UPDATE secrets SET last_used_at = $used WHERE key_id = $id AND version = $version AND (last_used_at IS NULL OR last_used_at < $used)";
        var used = command.Parameters.Add("$used", SqliteType.Integer);
        var id = command.Parameters.Add("$id", SqliteType.Text);
        var version = command.Parameters.Add("$version", SqliteType.Integer);
        foreach (var use in uses)
        {
            (used.Value, id.Value, version.Value) = (use.LastUsedAt.ToUnixTimeMilliseconds(), use.KeyId.Value, use.Secret.Version);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    internal override Task<LedgerHead> LockHeadAsync(MiraDbContext database, CancellationToken cancellationToken) => database.Heads.SingleAsync(cancellationToken);

    internal override Task<DateTimeOffset> ReadClockAsync(MiraDbContext database, CancellationToken cancellationToken) =>
        Task.FromResult(Rfc3339.Truncate(clock.GetUtcNow()));

    private static async Task CheckIntegrityAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        await using var command = database.Database.GetDbConnection().CreateCommand();
        command.CommandText = "PRAGMA quick_check(1)";
        if (await command.ExecuteScalarAsync(cancellationToken) is not "ok")
            throw new SqliteException("The database is damaged.", SQLitePCL.raw.SQLITE_CORRUPT);
    }

    // EF Core leaves a row behind when it is killed while it migrates, and then waits for it for ever.
    private static async Task ClearMigrationLockAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var exists = await database.Database
            .SqlQueryRaw<int>("SELECT count(*) AS Value FROM sqlite_master WHERE name = '__EFMigrationsLock'")
            .SingleAsync(cancellationToken);
        // A delete of no rows writes as well, and a full disk has no room even for that.
        if (exists > 0 && await database.Database.SqlQueryRaw<int>("SELECT count(*) AS Value FROM \"__EFMigrationsLock\"").SingleAsync(cancellationToken) > 0)
            await database.Database.ExecuteSqlRawAsync("DELETE FROM \"__EFMigrationsLock\"", cancellationToken);
    }

    /// <summary>Each commit reaches the disk. While only reading is possible, connections are made for that.</summary>
    private sealed class DurableConnection(DataFolder folder, string usual) : DbConnectionInterceptor
    {
        // Immutable: SQLite makes no file beside the database and takes no lock. The data folder's own lock keeps other
        // processes away.
        private readonly string _reading = new SqliteConnectionStringBuilder
        {
            DataSource = $"file:{string.Join('/', folder.Database.Split('/').Select(Uri.EscapeDataString))}?immutable=1",
            Mode = SqliteOpenMode.ReadOnly,
        }.ToString();

        public override InterceptionResult ConnectionOpening(DbConnection connection, ConnectionEventData eventData, InterceptionResult result)
        {
            Choose(connection);
            return result;
        }

        public override ValueTask<InterceptionResult> ConnectionOpeningAsync(
            DbConnection connection, ConnectionEventData eventData, InterceptionResult result, CancellationToken cancellationToken = default)
        {
            Choose(connection);
            return ValueTask.FromResult(result);
        }

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData) => Set(connection);

        public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            Set(connection);
            return Task.CompletedTask;
        }

        private void Choose(DbConnection connection)
        {
            var wanted = folder.IsReadOnly ? _reading : usual;
            if (connection.ConnectionString != wanted && (folder.IsReadOnly || connection.ConnectionString == _reading))
                connection.ConnectionString = wanted;
        }

        private static void Set(DbConnection connection)
        {
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;";
            command.ExecuteNonQuery();
        }
    }
}
