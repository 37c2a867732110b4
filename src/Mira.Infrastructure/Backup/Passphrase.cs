using Mira.Application.Settings;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Backup;

/// <summary>
/// The passphrase that wraps the secrets of a backup: the text of a file, without the end of its line.
/// </summary>
internal static class Passphrase
{
    public const string Option = "--passphrase-file";

    private const int Shortest = 12;

    /// <exception cref="SettingException">The file cannot be read, others may write it, or it is too short.</exception>
    public static string Read(string path)
    {
        try
        {
            FileTrust.DemandSecret(Option, path);
            var text = File.ReadAllText(path).TrimEnd('\r', '\n');
            return text.Length >= Shortest ? text : throw new SettingException(Option, $"the passphrase must have at least {Shortest} characters");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(Option, "the file cannot be read", exception);
        }
    }
}
