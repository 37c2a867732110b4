using System.Runtime.InteropServices;
using Mira.Application.Admins;

namespace Mira.Infrastructure.Files;

/// <summary>
/// Writes small files that hold secrets: whole, synced to the disk, and readable by their owner alone.
/// </summary>
public sealed partial class SafeFile : ITokenFile
{
    private const int ReadOnly = 0;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <inheritdoc/>
    void ITokenFile.Write(string path, string token, bool replace) => Write(path, token + "\n", replace);

    /// <exception cref="IOException">It cannot be written, or is there already and may not be replaced.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void Write(string path, string content, bool replace)
    {
        path = Path.GetFullPath(path);
        if (!replace && File.Exists(path))
            throw new IOException("The file is there already.");

        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly };
            using (var stream = new FileStream(temporary, options))
            {
                using var writer = new StreamWriter(stream, leaveOpen: true);
                writer.Write(content);
                writer.Flush();
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: replace);
            SyncFolder(Path.GetDirectoryName(path)!);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Makes an empty file that its owner alone can read, if there is none.</summary>
    public static void Touch(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, UnixCreateMode = OwnerOnly };
        using (new FileStream(path, options))
        {
        }

        if (File.GetUnixFileMode(path) != OwnerOnly)
            File.SetUnixFileMode(path, OwnerOnly);
    }

    // A rename is on the disk only when its folder is, and .NET opens no folders.
    internal static void SyncFolder(string folder)
    {
        var descriptor = Open(folder, ReadOnly);
        if (descriptor < 0)
            throw new IOException("The folder cannot be opened.");

        var synced = Sync(descriptor) == 0;
        _ = Close(descriptor);
        if (!synced)
            throw new IOException("The folder cannot be synced.");
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
