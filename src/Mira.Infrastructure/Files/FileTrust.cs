using System.Globalization;
using System.Runtime.InteropServices;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Files;

/// <summary>
/// Refuses folders and secret files that other users may write: whoever plants a pepper or an audit key there knows it.
/// To be read by others is no reason to refuse: Kubernetes gives out secrets that belong to root with the modes 0440
/// and 0444.
/// </summary>
internal static partial class FileTrust
{
    private const UnixFileMode OthersWrite = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;
    private const uint Root = 0;

    /// <summary>For the data folder: nobody else may put files into it.</summary>
    /// <exception cref="SettingException">Others may, or it belongs to another user.</exception>
    public static void DemandFolder(string setting, string path) => Demand(setting, $"the folder {path}", path, "chmod 700", mayBeSticky: false);

    /// <summary>
    /// For the folder of a file that is written: nobody else may put another file in its place. In one like /tmp only
    /// owners replace their files.
    /// </summary>
    /// <exception cref="SettingException">Others may, or it belongs to another user.</exception>
    public static void DemandFolderOf(string setting, string file)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file));
        if (folder is not null && Directory.Exists(folder))
            Demand(setting, $"the folder {folder}", folder, "chmod go-w", mayBeSticky: true);
    }

    /// <summary>For a file with a secret. A link counts as what it leads to.</summary>
    /// <exception cref="SettingException">Others may write it, or it belongs to another user than this one and
    /// root.</exception>
    public static void DemandSecret(string setting, string path)
    {
        if (File.Exists(path))
            Demand(setting, $"the file {path}", path, "chmod go-w", mayBeSticky: false);
    }

    private static void Demand(string setting, string what, string path, string remedy, bool mayBeSticky)
    {
        var mode = ReadMode(setting, what, path);
        var octal = Convert.ToString((int)mode, 8).PadLeft(4, '0');
        if ((mode & OthersWrite) != 0 && !(mayBeSticky && mode.HasFlag(UnixFileMode.StickyBit)))
            throw new SettingException(setting, $"{what} may be written by others (mode {octal}): make it this user's alone with {remedy}");

        var user = CurrentUser();
        if (FindOwner(path) is { } owner && owner != user && owner != Root)
        {
            throw new SettingException(
                setting, string.Create(CultureInfo.InvariantCulture, $"{what} belongs to user {owner} (mode {octal}), and this process runs as user {user}: it must belong to that one or to root"));
        }
    }

    private static UnixFileMode ReadMode(string setting, string what, string path)
    {
        try
        {
            return File.GetUnixFileMode(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(setting, $"{what} cannot be read", exception);
        }
    }

    /// <summary>
    /// Null where the system does not tell it this way, as on other systems than Linux; the mode alone counts there.
    /// </summary>
    private static uint? FindOwner(string path)
    {
        var status = new byte[StatusSize];
        try
        {
            return ReadStatus(CurrentFolder, path, 0, WantOwner, status) == 0 ? BitConverter.ToUInt32(status, OwnerOffset) : null;
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }

    // statx(2): unlike those of stat, its numbers and the layout of its answer are the same on every processor.
    private const int CurrentFolder = -100;
    private const uint WantOwner = 0x8;
    private const int OwnerOffset = 20;
    private const int StatusSize = 256;

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ReadStatus(int folder, string path, int flags, uint mask, [Out] byte[] status);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint CurrentUser();
}
