using System.Security.Cryptography;
using Mira.Application.Settings;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Files;

/// <summary>
/// Where peppers come from: settings, or with the embedded store a file in the data folder that is made at the first
/// start.
/// </summary>
public static class Peppers
{
    public const string Setting = "MIRA_PEPPER";
    public const string FileSetting = "MIRA_PEPPER_FILE";
    public const string RetiredSetting = "MIRA_PEPPER_RETIRED";

    /// <summary>Is one given, so that no data folder needs its own?</summary>
    public static bool AreGiven(SettingReader settings) =>
        settings.Text(Setting, "Mira:Pepper") is not null || settings.Text(FileSetting, "Mira:PepperFile") is not null;

    /// <exception cref="SettingException">A pepper is not usable, or the data folder has lost its own.</exception>
    public static PepperRing Load(SettingReader settings, DataFolder folder, bool mayMake = true)
    {
        var given = Given(settings);
        var own = File.Exists(folder.Pepper) ? Decode(Setting, ReadFile(Setting, folder.Pepper), $"the file {folder.Pepper}") : null;
        var retired = Retired(settings);
        if (given is not null)
            return new PepperRing(given, own is null ? retired : [.. retired, own]);

        return own is null && !mayMake
            ? throw new SettingException(Setting, $"is not given, and there is none in the data folder ({folder.Pepper})")
            : new PepperRing(own ?? Make(folder), retired);
    }

    /// <summary>
    /// For a store that several nodes share: there is no folder of one's own where a pepper could be made.
    /// </summary>
    /// <exception cref="SettingException">None is given, or one is not usable.</exception>
    public static PepperRing Demand(SettingReader settings)
    {
        var given = Given(settings) ?? throw new SettingException(Setting, $"or {FileSetting} must be given with this store, the same on all nodes");
        return new PepperRing(given, Retired(settings));
    }

    /// <summary>
    /// The peppers themselves, in base64, for a backup that wraps them: the current one first. A process that serves
    /// has no use for this.
    /// </summary>
    /// <exception cref="SettingException">A pepper is not usable, or there is none.</exception>
    internal static IReadOnlyList<string> Export(SettingReader settings, DataFolder folder)
    {
        var ring = Load(settings, folder, mayMake: false);
        string?[] texts =
        [
            settings.Text(Setting, "Mira:Pepper"),
            settings.Text(FileSetting, "Mira:PepperFile") is { } path ? ReadFile(FileSetting, path) : null,
            File.Exists(folder.Pepper) ? ReadFile(Setting, folder.Pepper) : null,
            .. settings.List(RetiredSetting),
        ];
        var byId = texts.OfType<string>().Select(text => text.Trim()).DistinctBy(text => Decode(Setting, text, "it").Id).ToDictionary(text => Decode(Setting, text, "it").Id);
        return [.. ring.All.Select(pepper => byId[pepper.Id])];
    }

    /// <summary>Reads what <see cref="Export"/> gave.</summary>
    /// <exception cref="SettingException">It is no pepper.</exception>
    internal static Pepper Import(string setting, string text) => Decode(setting, text, "the pepper");

    private static List<Pepper> Retired(SettingReader settings) =>
        [.. settings.List(RetiredSetting).Select(text => Decode(RetiredSetting, text, "each item"))];

    private static Pepper? Given(SettingReader settings)
    {
        var text = settings.Text(Setting, "Mira:Pepper");
        var path = settings.Text(FileSetting, "Mira:PepperFile");
        return (text, path) switch
        {
            (null, null) => null,
            (not null, not null) => throw new SettingException(Setting, $"must not be given together with {FileSetting}"),
            (not null, null) => Decode(Setting, text, "it"),
            _ => Decode(FileSetting, ReadFile(FileSetting, path), "its content"),
        };
    }

    private static Pepper Make(DataFolder folder)
    {
        // Keys without their pepper cannot be verified; a new one would only hide what was lost.
        if (File.Exists(folder.Database) && new FileInfo(folder.Database).Length > 0)
            throw new SettingException(Setting, $"the data folder holds keys, but their pepper is missing (the file {folder.Pepper})");

        var secret = RandomNumberGenerator.GetBytes(Pepper.MinimumSize);
        try
        {
            SafeFile.Write(folder.Pepper, Convert.ToBase64String(secret) + "\n", replace: false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(DataFolder.Setting, "the pepper cannot be written", exception);
        }

        return new Pepper(secret);
    }

    private static string ReadFile(string setting, string path)
    {
        try
        {
            FileTrust.DemandSecret(setting, path);
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(setting, "the file cannot be read", exception);
        }
    }

    private static Pepper Decode(string setting, string text, string what)
    {
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text.Trim(), bytes, out var length) && length >= Pepper.MinimumSize
            ? new Pepper(bytes.AsSpan(0, length))
            : throw new SettingException(setting, $"{what} must be base64 of at least {Pepper.MinimumSize} bytes");
    }
}
