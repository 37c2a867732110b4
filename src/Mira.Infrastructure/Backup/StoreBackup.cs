using System.Data.Common;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Backup;

/// <summary>
/// Backs up the embedded store that the settings name, beside a service that may be running: the command
/// <c>backup</c>.
/// </summary>
/// <param name="To">The file to write, which its owner alone can read.</param>
/// <param name="PassphraseFile">The file with the passphrase that wraps pepper and audit key; null leaves them
/// out.</param>
/// <param name="MayReplace">May a file that is there be replaced?</param>
public sealed record StoreBackup(string To, string? PassphraseFile, bool MayReplace)
{
    private const string Option = "--to";

    /// <returns>What the backup says of itself.</returns>
    /// <param name="contentRoot">The folder of the program, which holds no data.</param>
    /// <exception cref="SettingException">There is no store, or the file cannot be written.</exception>
    /// <exception cref="StoreUnavailableException">The store cannot be read.</exception>
    public async Task<BackupManifest> RunAsync(SettingReader settings, string contentRoot, TimeProvider clock, CancellationToken cancellationToken)
    {
        var folder = EmbeddedStore.FolderOf(settings, contentRoot, "backup");
        if (!File.Exists(folder.Database))
            throw new SettingException(DataFolder.Setting, "there is no store in the data folder");

        var target = Path.GetFullPath(To);
        if (File.Exists(target) && !MayReplace)
            throw AlreadyThere();

        var passphrase = PassphraseFile is null ? null : Passphrase.Read(PassphraseFile);
        var work = $"{target}.{Guid.NewGuid():N}.tmp";
        try
        {
            FileTrust.DemandFolderOf(Option, target);
            if (!Directory.Exists(Path.GetDirectoryName(target)))
                throw new SettingException(Option, "the folder of the file does not exist");

            Directory.CreateDirectory(work, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return await MakeAsync(settings, folder, work, target, passphrase, clock, cancellationToken);
        }
        catch (DbException exception)
        {
            throw new SettingException(DataFolder.Setting, "the store cannot be read, or there is no room for its copy", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw File.Exists(target) && !MayReplace ? AlreadyThere() : new SettingException(Option, "the file cannot be written", exception);
        }
        finally
        {
            if (Directory.Exists(work))
                Directory.Delete(work, recursive: true);
        }
    }

    private static SettingException AlreadyThere() => new(Option, "the file is there already; --replace writes a new one in its place");

    private async Task<BackupManifest> MakeAsync(
        SettingReader settings, DataFolder folder, string work, string target, string? passphrase, TimeProvider clock, CancellationToken cancellationToken)
    {
        var copy = Path.Combine(work, BackupFile.DatabasePart);
        var at = Rfc3339.Truncate(clock.GetUtcNow());
        await EmbeddedStore.CopyAsync(folder.Database, copy, clock, cancellationToken);
        EmbeddedStore.DemandIntegrity(DataFolder.Setting, copy);

        var contexts = EmbeddedStore.ContextsOf(copy);
        var migration = await contexts.ReadAsync("The store cannot be read.", database => DemandTablesAsync(database, cancellationToken), cancellationToken);
        var head = await new SqlLedgerArchive(contexts).ReadHeadAsync(cancellationToken);
        var epoch = await contexts.ReadAsync("The ledger cannot be read.", database => SqlLedgerReader.FindEpochAsync(database, head.Position.Seq, cancellationToken), cancellationToken);

        var size = new FileInfo(copy).Length;
        BackupPart database = new(BackupFile.DatabasePart, size, await HashAsync(copy, cancellationToken));
        var manifest = new BackupManifest(
            BackupManifest.ThisFormat, BackupManifest.NewestVersion, NodeStart.Version, at, migration, epoch, head.Position.Seq, head.Position.Hash,
            head.Statement?.ToLine(), head.SignedBy, [database], null);
        var (whole, wrapped) = passphrase is null ? (manifest, null) : await WrapAsync(settings, folder, contexts, manifest, head, passphrase, clock, cancellationToken);

        var temporary = Path.Combine(work, "backup");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
        await using (var file = new FileStream(temporary, options))
        {
            await BackupFile.WriteAsync(file, whole, copy, wrapped, cancellationToken);
            file.Flush(flushToDisk: true);
        }

        // What is kept for a bad day is read once while the original is still there.
        (await BackupFile.OpenAsync(Option, temporary, cancellationToken)).Dispose();
        File.Move(temporary, target, overwrite: MayReplace);
        SafeFile.SyncFolder(Path.GetDirectoryName(target)!);
        return whole;
    }

    private static async Task<(BackupManifest Manifest, byte[] Wrapped)> WrapAsync(
        SettingReader settings, DataFolder folder, IDbContextFactory<MiraDbContext> contexts, BackupManifest manifest, SignedHead head, string passphrase,
        TimeProvider clock, CancellationToken cancellationToken)
    {
        var key = AuditKeys.Find(settings, folder) ?? throw new SettingException(AuditKeys.Setting, "is not given, and there is none in the data folder");
        await EmbeddedStore.DemandSecretsAsync(folder, contexts, Peppers.Load(settings, folder, mayMake: false), key, head, clock, cancellationToken);

        var parameters = WrappedSecrets.NewParameters();
        var wrapped = WrappedSecrets.Wrap(new BackupSecrets(Peppers.Export(settings, folder), key.ExportPem()), passphrase, parameters, manifest.Binding);
        var part = new BackupPart(BackupFile.SecretsPart, wrapped.Length, Convert.ToHexStringLower(SHA256.HashData(wrapped)));
        return (manifest with { Parts = [part, .. manifest.Parts], Secrets = parameters }, wrapped);
    }

    private static async Task<string> DemandTablesAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var state = await SchemaState.ReadAsync(database, DataFolder.Setting, cancellationToken);
        if (state.IsEmpty)
            throw new SettingException(DataFolder.Setting, "there is no store in the data folder");
        if (state.Pending.Count > 0)
            throw new SettingException(DataFolder.Setting, "the store there is of an older version: back it up with that version, or start this one with it once");
        return (await database.Database.GetAppliedMigrationsAsync(cancellationToken)).Last();
    }

    private static async Task<string> HashAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
    }
}
