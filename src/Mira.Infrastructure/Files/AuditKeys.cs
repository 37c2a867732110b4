using Mira.Application.Settings;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Files;

/// <summary>
/// Where the key comes from that signs the ledger: settings, or with the embedded store a file in the data folder that
/// is made at the first start. Only who chooses the key says which earlier ones are believed: the PEM in the settings,
/// or the folder that holds the key itself.
/// </summary>
public static class AuditKeys
{
    internal const string Setting = "MIRA_AUDIT_KEY";
    private const string FileSetting = "MIRA_AUDIT_KEY_FILE";

    /// <exception cref="SettingException">A key is not usable, or cannot be kept.</exception>
    public static AuditKey Load(SettingReader settings, DataFolder folder)
    {
        if (Given(settings) is { } given)
            return given.Earlier.Count > 0 && ReadOwn(folder) is { } own ? given.TakingOverFrom(own) : given;

        var key = ReadOwn(folder) ?? Make(folder);
        return key.After(ReadPublished(folder));
    }

    /// <summary>
    /// For a store that several nodes share: there is no folder of one's own where a key could be made.
    /// </summary>
    /// <exception cref="SettingException">None is given, or it is not usable.</exception>
    public static AuditKey Demand(SettingReader settings) =>
        Given(settings) ?? throw new SettingException(
            Setting, $"or {FileSetting} must be given with this store, the same on all nodes: without it nobody could prove the audit trail");

    /// <summary>
    /// The key that a service with these settings signs with; null when there is none. Nothing is made.
    /// </summary>
    /// <exception cref="SettingException">A key is given that is not usable.</exception>
    internal static AuditKey? Find(SettingReader settings, DataFolder folder) => Given(settings) ?? ReadOwn(folder);

    /// <summary>Do the settings give a key, so that no data folder needs its own?</summary>
    internal static bool IsGiven(SettingReader settings) => Given(settings) is not null;

    /// <summary>Lays the public part beside the data, once the ledger is signed by it.</summary>
    /// <exception cref="SettingException">It cannot be written.</exception>
    public static void Publish(DataFolder folder, AuditPublicKey key)
    {
        var pem = key.ExportPem();
        if (!File.Exists(folder.AuditPublicKey) || ReadFile(Setting, folder.AuditPublicKey) != pem)
            Write(folder.AuditPublicKey, pem, replace: true);
    }

    /// <summary>The public part of what a service with these settings signs with; null when there is none.</summary>
    /// <exception cref="SettingException">A key is given that is not usable.</exception>
    public static AuditPublicKey? FindPublic(SettingReader settings, DataFolder? folder)
    {
        if (Given(settings) is { } given)
            return given.Public;
        return folder is not null && File.Exists(folder.AuditPublicKey) ? ParsePublic(Setting, folder.AuditPublicKey)[0] : null;
    }

    /// <exception cref="SettingException">The file holds no public key on P-256.</exception>
    public static IReadOnlyList<AuditPublicKey> ParsePublic(string setting, string path) =>
        AuditPublicKey.TryParse(ReadFile(setting, path), out var keys, out var problem) ? keys : throw new SettingException(setting, $"the file {problem}");

    /// <summary>The public parts of keys in the folder: the published one, and that of the key made there.</summary>
    public static (IReadOnlyList<AuditPublicKey> Published, AuditPublicKey? Own) FindInFolder(DataFolder folder) => (ReadPublished(folder), ReadOwn(folder)?.Public);

    private static IReadOnlyList<AuditPublicKey> ReadPublished(DataFolder folder) =>
        File.Exists(folder.AuditPublicKey) && AuditPublicKey.TryParse(ReadFile(Setting, folder.AuditPublicKey), out var keys, out _) ? keys : [];

    private static AuditKey? ReadOwn(DataFolder folder) =>
        File.Exists(folder.AuditKey) ? Parse(Setting, ReadSecret(Setting, folder.AuditKey), $"the file {folder.AuditKey}") : null;

    private static AuditKey? Given(SettingReader settings)
    {
        var text = settings.Text(Setting, "Mira:AuditKey");
        var path = settings.Text(FileSetting, "Mira:AuditKeyFile");
        return (text, path) switch
        {
            (null, null) => null,
            (not null, not null) => throw new SettingException(Setting, $"must not be given together with {FileSetting}"),
            // A file of settings may have no way to say where a line ends but this.
            (not null, null) => Parse(Setting, text.Replace("\\n", "\n", StringComparison.Ordinal), "it"),
            _ => Parse(FileSetting, ReadSecret(FileSetting, path), "its content"),
        };
    }

    private static AuditKey Make(DataFolder folder)
    {
        var made = AuditKey.Generate();
        Write(folder.AuditKey, made.ExportPem(), replace: false);
        return made;
    }

    private static void Write(string path, string content, bool replace)
    {
        try
        {
            SafeFile.Write(path, content, replace);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(DataFolder.Setting, "the audit key cannot be written", exception);
        }
    }

    private static string ReadSecret(string setting, string path)
    {
        FileTrust.DemandSecret(setting, path);
        return ReadFile(setting, path);
    }

    private static string ReadFile(string setting, string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(setting, "the file cannot be read", exception);
        }
    }

    private static AuditKey Parse(string setting, string text, string what) =>
        AuditKey.TryParse(text, out var key, out var problem) ? key : throw new SettingException(setting, $"{what} {problem}");
}
