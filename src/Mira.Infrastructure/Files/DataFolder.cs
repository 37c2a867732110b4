using Mira.Application.Settings;

namespace Mira.Infrastructure.Files;

/// <summary>The folder that holds the database, the pepper and the audit key: 0700, its files 0600.</summary>
public sealed class DataFolder
{
    public const string Setting = "MIRA_DATA_DIR";

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>ENOSPC, on Linux and macOS alike.</summary>
    private const int NoSpace = 28;

    private DataFolder(string path) => Path = path;

    public string Path { get; }

    /// <summary>Where it lies, whatever links lead there: two folders are one when these are the same.</summary>
    public string RealPath => ResolveLinks(Path);

    public string Database => System.IO.Path.Combine(Path, "mira.db");

    /// <summary>
    /// True while the disk has no room for what SQLite needs beside the database to write it; then it is opened for
    /// reading alone.
    /// </summary>
    internal bool IsReadOnly { get; set; }

    public string Pepper => System.IO.Path.Combine(Path, "pepper");

    public string AuditKey => System.IO.Path.Combine(Path, "audit-key.pem");

    public string AuditPublicKey => System.IO.Path.Combine(Path, "audit-public.pem");

    /// <summary>
    /// There from a restore until the next start has recorded that this ledger goes on from an older state.
    /// </summary>
    public string RestoreMark => System.IO.Path.Combine(Path, "restored");

    public string Lock => System.IO.Path.Combine(Path, "mira.lock");

    /// <param name="configured">Null for <c>mira</c> below the user's local application data.</param>
    /// <param name="contentRoot">The folder of the program; a data folder below it is refused.</param>
    /// <exception cref="SettingException">It cannot be this folder.</exception>
    public static DataFolder At(string? configured, string contentRoot)
    {
        var path = configured is null ? DefaultPath() : System.IO.Path.GetFullPath(configured);
        if (IsBelow(ResolveLinks(path), ResolveLinks(contentRoot)))
            throw new SettingException(Setting, "must not be inside the folder of the program");

        return new DataFolder(path);
    }

    /// <summary>Makes the folder, or closes it to others when it is there.</summary>
    /// <exception cref="SettingException">It cannot be made or written, or others may write it.</exception>
    public void Prepare()
    {
        try
        {
            Directory.CreateDirectory(Path, OwnerOnly);
            // One that others may write may hold their files already, so it is refused and not closed.
            FileTrust.DemandFolder(Setting, Path);
            if (File.GetUnixFileMode(Path) != OwnerOnly)
                File.SetUnixFileMode(Path, OwnerOnly);

            var probe = System.IO.Path.Combine(Path, $".write-{Guid.NewGuid():N}");
            using (new FileStream(probe, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Options = FileOptions.DeleteOnClose }))
            {
            }
        }
        catch (IOException exception) when (exception.HResult == NoSpace && File.Exists(Database))
        {
            // A full disk stops what must be written, and nothing else; it is met again there.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(Setting, "the data folder cannot be written", exception);
        }
    }

    private static string DefaultPath()
    {
        var local = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return System.IO.Path.IsPathRooted(local)
            ? System.IO.Path.Combine(local, "mira")
            : throw new SettingException(Setting, "must be given, because this user has no home folder");
    }

    private static bool IsBelow(string path, string root)
    {
        var relative = System.IO.Path.GetRelativePath(root, path);
        return relative == "." || !(relative == ".." || relative.StartsWith("../", StringComparison.Ordinal) || System.IO.Path.IsPathRooted(relative));
    }

    // A link elsewhere that points into the program's folder is inside it all the same.
    private static string ResolveLinks(string path)
    {
        var resolved = System.IO.Path.GetPathRoot(path)!;
        foreach (var part in path[resolved.Length..].Split(System.IO.Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            var next = System.IO.Path.Combine(resolved, part);
            // The way to where a link points may lead over other links. A circle of them does not exist, so this ends.
            resolved = Directory.Exists(next) && Directory.ResolveLinkTarget(next, returnFinalTarget: true) is { } target
                ? ResolveLinks(target.FullName)
                : next;
        }

        return resolved;
    }
}
