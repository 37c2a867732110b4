using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Backup;

/// <summary>The database file of an embedded store, read and copied beside a service that may write it.</summary>
internal static class EmbeddedStore
{
    private const int Attempts = 20;
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);

    /// <summary>The data folder that the settings name.</summary>
    /// <exception cref="SettingException">The keys are elsewhere, or it cannot be this folder.</exception>
    public static DataFolder FolderOf(SettingReader settings, string contentRoot, string command)
    {
        var store = StoreChoice.Name(settings);
        if (store == StoreChoice.InAirtable)
            throw new SettingException(StoreChoice.Setting, $"is airtable, and {command} is for the embedded store: the keys are in Airtable, and `store copy --from airtable --to sqlite:DIR` makes a store that can be backed up (docs/backup.md)");
        return StoreChoice.FindFolder(settings, contentRoot)
            ?? throw new SettingException(StoreChoice.Setting, $"is {store}, and {command} is for the embedded store: use pg_dump or a base backup, whose commands are in docs/backup.md");
    }

    /// <summary>
    /// Copies the database as it is at one moment. It reads one snapshot in one step, so changes go on meanwhile and
    /// the copy never begins anew. The copy is one file, without a log beside it.
    /// </summary>
    /// <exception cref="DbException">One of them cannot be used.</exception>
    public static async Task CopyAsync(string from, string to, TimeProvider clock, CancellationToken cancellationToken)
    {
        SafeFile.Touch(to);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Copy(from, to);
                break;
            }
            // Only while another process recovers the log.
            catch (SqliteException exception) when (exception.SqliteErrorCode == SQLitePCL.raw.SQLITE_BUSY && attempt < Attempts)
            {
                await Task.Delay(Pace, clock, cancellationToken);
            }
        }

        using var alone = Open(to, SqliteOpenMode.ReadWrite);
        using var command = alone.CreateCommand();
        command.CommandText = "PRAGMA journal_mode=DELETE";
        command.ExecuteNonQuery();
    }

    /// <exception cref="SettingException">The file is no database, or is damaged.</exception>
    public static void DemandIntegrity(string setting, string path)
    {
        try
        {
            using var connection = Open(path, SqliteOpenMode.ReadOnly);
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA quick_check(1)";
            if (command.ExecuteScalar() is "ok")
                return;
        }
        catch (SqliteException exception)
        {
            throw new SettingException(setting, "the database is damaged", exception);
        }

        throw new SettingException(setting, "the database is damaged");
    }

    /// <summary>Contexts that read a database file.</summary>
    public static IDbContextFactory<MiraDbContext> ContextsOf(string path) => new PooledDbContextFactory<MiraDbContext>(
        new DbContextOptionsBuilder<MiraDbContext>().UseSqlite(Connection(path, SqliteOpenMode.ReadOnly)).Options);

    /// <summary>Demands that the secrets which are at hand are those that the keys and the ledger need.</summary>
    /// <exception cref="SettingException">A pepper of live secrets is missing, or another audit key has
    /// signed.</exception>
    public static async Task DemandSecretsAsync(
        DataFolder folder, IDbContextFactory<MiraDbContext> contexts, PepperRing peppers, AuditKey key, SignedHead head, TimeProvider clock, CancellationToken cancellationToken)
    {
        await new SqliteStore(contexts, folder, clock).DemandPeppersAsync(peppers, clock.GetUtcNow(), cancellationToken);
        if (head.SignedBy is { } signer && key.FindPublic(signer) is null)
            throw new SettingException(AuditKeys.Setting, $"is not the key that has signed the ledger of the backup ({AuditPublicKey.FromText(signer)?.Id ?? "unreadable"})");
    }

    private static void Copy(string from, string to)
    {
        using var source = Open(from, SqliteOpenMode.ReadOnly);
        using var target = Open(to, SqliteOpenMode.ReadWrite);
        source.BackupDatabase(target);
    }

    private static SqliteConnection Open(string path, SqliteOpenMode mode)
    {
        var connection = new SqliteConnection(Connection(path, mode));
        connection.Open();
        return connection;
    }

    private static string Connection(string path, SqliteOpenMode mode) =>
        new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false }.ToString();
}
