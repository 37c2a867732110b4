using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Mira.Application.Settings;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Sql;

/// <summary>The embedded store: one SQLite file, write-ahead log, each commit synced to the disk before it is answered.</summary>
public sealed class SqliteStore(IDbContextFactory<MiraDbContext> contexts, DataFolder folder)
{
    /// <summary>How long a statement waits for a lock that another process holds, in seconds.</summary>
    private const int BusySeconds = 2;

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
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            SafeFile.Touch(folder.Database);
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            await database.Database.OpenConnectionAsync(cancellationToken);
            await CheckIntegrityAsync(database, cancellationToken);
            await database.Database.ExecuteSqlRawAsync("PRAGMA journal_mode=WAL", cancellationToken);
            await ClearMigrationLockAsync(database, cancellationToken);
            await database.Database.MigrateAsync(cancellationToken);
            if (!await database.Heads.AnyAsync(cancellationToken))
            {
                database.Heads.Add(new LedgerHead());
                await database.SaveChangesAsync(cancellationToken);
            }
        }
        catch (Exception exception) when (exception is DbException or DbUpdateException or IOException or UnauthorizedAccessException)
        {
            throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged or cannot be written", exception);
        }
    }

    /// <summary>How many secrets that work now lie under each pepper.</summary>
    /// <exception cref="SettingException">There is no store, or it is damaged.</exception>
    public async Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!File.Exists(folder.Database))
            throw new SettingException(DataFolder.Setting, "there is no store in the data folder");

        try
        {
            return await CountAsync(now, cancellationToken);
        }
        catch (DbException exception)
        {
            throw new SettingException(DataFolder.Setting, $"the database {folder.Database} is damaged", exception);
        }
    }

    /// <exception cref="SettingException">Secrets that work lie under a pepper that is not listed, so nobody could use them.</exception>
    public async Task DemandPeppersAsync(PepperRing peppers, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var counts = await CountLiveSecretsAsync(now, cancellationToken);
        var unlisted = counts.Where(pair => peppers.Find(pair.Key) is null).ToList();
        if (unlisted.Count > 0)
        {
            var which = string.Join(", ", unlisted.Select(pair => $"{pair.Value} under {pair.Key}"));
            throw new SettingException("MIRA_PEPPER", $"live secrets lie under a pepper that is not listed: {which}");
        }
    }

    private async Task<IReadOnlyDictionary<string, int>> CountAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Keys
            .Where(key => key.RevokedAt == null)
            .SelectMany(key => key.Secrets)
            .Where(secret => (secret.ValidUntil == null || secret.ValidUntil > now) && (secret.ExpiresAt == null || secret.ExpiresAt > now))
            .GroupBy(secret => secret.PepperId)
            .Select(group => new { PepperId = group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.PepperId, group => group.Count, cancellationToken);
    }

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
