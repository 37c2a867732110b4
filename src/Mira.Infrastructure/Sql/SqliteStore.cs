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

/// <summary>The embedded store: one SQLite file, write-ahead log, each commit synced to the disk before it is answered.</summary>
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
        options.UseSqlite(connection.ToString()).AddInterceptors(DurableConnection.Instance);
    }

    /// <summary>Makes or upgrades the database. The caller holds the data folder's lock.</summary>
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
            await MigrateAsync(database, cancellationToken);
        }
        catch (Exception exception) when (exception is DbException or DbUpdateException or IOException or UnauthorizedAccessException)
        {
            throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged or cannot be written", exception);
        }
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
        if (exists > 0)
            await database.Database.ExecuteSqlRawAsync("DELETE FROM \"__EFMigrationsLock\"", cancellationToken);
    }

    private sealed class DurableConnection : DbConnectionInterceptor
    {
        public static DurableConnection Instance { get; } = new();

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData) => Set(connection);

        public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            Set(connection);
            return Task.CompletedTask;
        }

        private static void Set(DbConnection connection)
        {
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;";
            command.ExecuteNonQuery();
        }
    }
}
