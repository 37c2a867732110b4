using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Backup;

/// <summary>What was restored, and what is known of it.</summary>
/// <param name="Fault">Why the ledger in it is not whole; null when it is, or was not checked.</param>
/// <param name="Rows">What was found of the rows of keys; null when all of them are right.</param>
/// <param name="IsOlder">True for a store of an older version, which the next start upgrades and then checks.</param>
/// <param name="KnownUpTo">The last event that an anchor or an export knows; null without one.</param>
/// <param name="Lost">The changes of keys that an export knows and the backup does not.</param>
/// <param name="RetiredPeppers">The file with the retired peppers of the backup; null when there are none.</param>
public sealed record RestoredStore(
    BackupManifest Manifest, string Folder, string? Fault, string? Rows, bool IsOlder, long? KnownUpTo, IReadOnlyList<LostChange> Lost,
    string? RetiredPeppers);

/// <summary>Restores a backup into the data folder that the settings name: the command <c>restore</c>.</summary>
/// <param name="From">The file of the backup.</param>
/// <param name="PassphraseFile">The file with the passphrase that wrapped pepper and audit key; null when these are at
/// hand.</param>
/// <param name="Anchor">Checkpoints published before, which tell what was lost; null for the file that the settings
/// name, if any.</param>
/// <param name="Export">An export of the old ledger, which names each lost change; null without one.</param>
public sealed record StoreRestore(string From, string? PassphraseFile, string? Anchor, string? Export)
{
    private const string Option = "--from";

    /// <summary>
    /// Checks everything first, and puts the database in its place last: until then the folder holds no store.
    /// </summary>
    /// <param name="contentRoot">The folder of the program, which holds no data.</param>
    /// <exception cref="SettingException">The folder is in use or holds a store, the file is no whole backup, or its
    /// secrets are missing. Nothing is left behind.</exception>
    public async Task<RestoredStore> RunAsync(SettingReader settings, string contentRoot, TimeProvider clock, CancellationToken cancellationToken)
    {
        var folder = EmbeddedStore.FolderOf(settings, contentRoot, "restore");
        DemandNoStore(folder);
        var anchors = FindAnchors(settings);
        using var backup = await BackupFile.OpenAsync(Option, From, cancellationToken);
        var secrets = await FindSecretsAsync(backup, settings, folder, cancellationToken);

        using var place = await RestoreFolder.PrepareAsync(folder, clock, cancellationToken);
        DemandNoStore(folder);
        await place.StageAsync(backup, secrets is null || Peppers.AreGiven(settings) ? null : secrets.Peppers, AuditKeys.IsGiven(settings) ? null : secrets?.AuditKey, cancellationToken);
        var restored = await CheckAsync(backup.Manifest, settings, contentRoot, place, secrets, anchors, clock, cancellationToken);
        return restored with { RetiredPeppers = place.Install() };
    }

    private static void DemandNoStore(DataFolder folder)
    {
        if (new[] { folder.Database, folder.Database + "-wal" }.Any(path => new FileInfo(path) is { Exists: true, Length: > 0 }))
            throw new SettingException(DataFolder.Setting, $"the data folder {folder.Path} holds a store already: restore into an empty one, and put it in the place of the old one then");
    }

    private List<Checkpoint> FindAnchors(SettingReader settings)
    {
        var path = Anchor ?? settings.Text(AnchorOptions.Setting, AnchorOptions.SettingPath);
        var isThere = Anchor is not null || (path is not null && !path.Contains("://", StringComparison.Ordinal) && File.Exists(path));
        return isThere ? OfflineLedger.ReadAnchors(path!) : [];
    }

    private async Task<BackupSecrets?> FindSecretsAsync(BackupFile backup, SettingReader settings, DataFolder folder, CancellationToken cancellationToken)
    {
        var isPepperHere = Peppers.AreGiven(settings) || File.Exists(folder.Pepper);
        var isKeyHere = AuditKeys.Find(settings, folder) is not null;
        if (PassphraseFile is not null && backup.Manifest.Secrets is { } parameters)
            return Open(backup.Manifest, (await backup.ReadSecretsAsync(cancellationToken))!, Passphrase.Read(PassphraseFile), parameters);
        if (PassphraseFile is not null)
            throw new SettingException(Passphrase.Option, "the backup holds neither pepper nor audit key, so there is nothing that a passphrase opens");
        if (isPepperHere && isKeyHere)
            return null;
        throw backup.Manifest.Secrets is not null
            ? new SettingException(Passphrase.Option, "must be given: the backup holds the pepper and the audit key, wrapped by a passphrase")
            : new SettingException(Option, $"the backup holds neither pepper nor audit key, and a restore needs both: give them by MIRA_PEPPER_FILE and MIRA_AUDIT_KEY_FILE, or put them into the data folder as {folder.Pepper} and {folder.AuditKey}");
    }

    private static BackupSecrets Open(BackupManifest manifest, byte[] wrapped, string passphrase, WrapParameters parameters)
    {
        try
        {
            return WrappedSecrets.Open(wrapped, passphrase, parameters, manifest.Binding)
                ?? throw new SettingException(Passphrase.Option, "the passphrase is not the one of this backup");
        }
        catch (FormatException exception)
        {
            throw new SettingException(Option, "the secrets in the backup are not wrapped in a way that this version knows", exception);
        }
    }

    private async Task<RestoredStore> CheckAsync(
        BackupManifest manifest, SettingReader settings, string contentRoot, RestoreFolder place, BackupSecrets? secrets, List<Checkpoint> anchors,
        TimeProvider clock, CancellationToken cancellationToken)
    {
        var staged = DataFolder.At(place.Staging, contentRoot);
        EmbeddedStore.DemandIntegrity(Option, staged.Database);
        var contexts = EmbeddedStore.ContextsOf(staged.Database);
        var state = await contexts.ReadAsync("The backup cannot be read.", database => SchemaState.ReadAsync(database, Option, cancellationToken), cancellationToken);
        if (state.IsEmpty)
            throw new SettingException(Option, "the database in the backup is not one of Mira");

        var key = AuditKeys.Find(settings, place.FolderOfAuditKey(staged))!;
        var end = new LedgerPosition(manifest.Seq, manifest.Hash);
        var known = anchors.Where(anchor => key.Public.Verifies(anchor)).MaxBy(anchor => anchor.Seq)?.Seq;
        var lost = Export is null ? null : await LostChanges.ReadAsync(Export, end, key.Public, cancellationToken);
        known = lost is null ? known : Math.Max(lost.UpTo, known ?? 0);
        var restored = new RestoredStore(manifest, place.Folder.Path, null, null, state.Pending.Count > 0, known, lost?.Changes ?? [], null);
        if (restored.IsOlder)
            return restored;

        var head = await new SqlLedgerArchive(contexts).ReadHeadAsync(cancellationToken);
        if (head.Position != end)
            throw new SettingException(Option, "the database in the backup does not stand where its manifest says");

        var ring = Peppers.Load(settings, place.FolderOfPepper(staged), mayMake: false);
        var peppers = secrets is null ? ring : new PepperRing(ring.Current, [.. ring.All, .. secrets.Peppers.Select(text => Peppers.Import(Option, text))]);
        await EmbeddedStore.DemandSecretsAsync(staged, contexts, peppers, key, head, clock, cancellationToken);

        if (head.SignedBy == key.Public.Text)
            AuditKeys.Publish(staged, key.Public);
        var ledger = new OfflineLedger([key.Public], [.. anchors.Where(anchor => anchor.Seq <= head.Position.Seq)]);
        var (fault, _) = await ledger.CheckStoreAsync(settings, contentRoot, staged.Path, cancellationToken);
        var rows = await RowReport.MakeAsync(contexts, new RowAuthenticator(peppers), cancellationToken);
        return restored with { Fault = fault?.ToString(), Rows = rows.Text };
    }
}
