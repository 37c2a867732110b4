using Mira.Application.Settings;
using Mira.Infrastructure.Files;

namespace Mira.Infrastructure.Backup;

/// <summary>
/// A data folder while a backup is restored into it. Everything is made in a folder within it, and moved when it is
/// whole; without that nothing of it stays.
/// </summary>
internal sealed class RestoreFolder : IDisposable
{
    private const string StagingPrefix = ".restore-";
    private const string RetiredPeppers = "retired-peppers";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly bool _wasThere;
    private readonly ProcessLock _lock;
    private readonly DataFolder _staged;
    private bool _isInstalled;

    private RestoreFolder(DataFolder folder, bool wasThere, ProcessLock processLock, DataFolder staged) =>
        (Folder, _wasThere, _lock, _staged) = (folder, wasThere, processLock, staged);

    public DataFolder Folder { get; }

    /// <summary>Where the parts are until all of them are right.</summary>
    public string Staging => _staged.Path;

    /// <exception cref="SettingException">Another process uses the folder, or it cannot be written.</exception>
    public static async Task<RestoreFolder> PrepareAsync(DataFolder folder, TimeProvider clock, CancellationToken cancellationToken)
    {
        var wasThere = Directory.Exists(folder.Path);
        folder.Prepare();
        var processLock = await ProcessLock.TakeAsync(folder.Lock, TimeSpan.Zero, clock, cancellationToken);
        try
        {
            // Of a restore that was killed.
            foreach (var left in Directory.GetDirectories(folder.Path, StagingPrefix + "*"))
                Directory.Delete(left, recursive: true);
            var staging = Path.Combine(folder.Path, $"{StagingPrefix}{Guid.NewGuid():N}");
            Directory.CreateDirectory(staging, OwnerOnly);
            return new RestoreFolder(folder, wasThere, processLock, DataFolder.At(staging, AppContext.BaseDirectory));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            processLock.Dispose();
            throw new SettingException(DataFolder.Setting, "the data folder cannot be written", exception);
        }
    }

    /// <summary>
    /// Where the pepper comes from that is not in the settings: the backup, or else the folder itself.
    /// </summary>
    public DataFolder FolderOfPepper(DataFolder staged) => File.Exists(staged.Pepper) ? staged : Folder;

    /// <inheritdoc cref="FolderOfPepper"/>
    public DataFolder FolderOfAuditKey(DataFolder staged) => File.Exists(staged.AuditKey) ? staged : Folder;

    /// <param name="peppers">The current one first; null when they come from elsewhere.</param>
    /// <param name="auditKey">PEM; null when it comes from elsewhere.</param>
    /// <exception cref="SettingException">The folder holds other secrets, or there is no room.</exception>
    public async Task StageAsync(BackupFile backup, IReadOnlyList<string>? peppers, string? auditKey, CancellationToken cancellationToken)
    {
        DemandSame(Folder.Pepper, peppers?[0]);
        DemandSame(Folder.AuditKey, auditKey);
        try
        {
            if (peppers is not null)
                SafeFile.Write(_staged.Pepper, peppers[0] + "\n", replace: false);
            if (peppers?.Count > 1)
                SafeFile.Write(Path.Combine(Staging, RetiredPeppers), string.Join(',', peppers.Skip(1)) + "\n", replace: false);
            if (auditKey is not null)
                SafeFile.Write(_staged.AuditKey, auditKey, replace: false);
            SafeFile.Write(_staged.RestoreMark, $"{backup.Manifest.Seq}\n", replace: false);
            await backup.ExtractDatabaseAsync(_staged.Database, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new SettingException(DataFolder.Setting, "the data folder cannot be written, or has no room for the store", exception);
        }
    }

    /// <summary>Moves everything to its place, the database last.</summary>
    /// <returns>The file with retired peppers; null when there is none.</returns>
    public string? Install()
    {
        var retired = Path.Combine(Folder.Path, RetiredPeppers);
        (string From, string To)[] moves =
        [
            (_staged.Pepper, Folder.Pepper), (Path.Combine(Staging, RetiredPeppers), retired), (_staged.AuditKey, Folder.AuditKey),
            (_staged.AuditPublicKey, Folder.AuditPublicKey), (_staged.RestoreMark, Folder.RestoreMark), (_staged.Database, Folder.Database),
        ];
        var moved = moves.Where(move => File.Exists(move.From)).ToArray();
        var made = moved.Select(move => move.To).Where(path => !File.Exists(path)).ToArray();
        try
        {
            File.Delete(Folder.Database + "-wal");
            File.Delete(Folder.Database + "-shm");
            foreach (var (from, to) in moved)
                File.Move(from, to, overwrite: true);
            SafeFile.SyncFolder(Folder.Path);
            _isInstalled = true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            foreach (var path in made)
                File.Delete(path);
            throw new SettingException(DataFolder.Setting, "the data folder cannot be written", exception);
        }

        return moved.Any(move => move.To == retired) ? retired : null;
    }

    public void Dispose()
    {
        if (Directory.Exists(Staging))
            Directory.Delete(Staging, recursive: true);
        if (!_isInstalled)
            File.Delete(Folder.Lock);
        _lock.Dispose();
        if (!_isInstalled && !_wasThere && !Directory.EnumerateFileSystemEntries(Folder.Path).Any())
            Directory.Delete(Folder.Path);
    }

    // Secrets of another store may be the only copy there is.
    private static void DemandSame(string path, string? content)
    {
        if (content is not null && File.Exists(path) && File.ReadAllText(path).Trim() != content.Trim())
            throw new SettingException(DataFolder.Setting, $"the data folder holds another secret than the backup ({path}): move it away, or restore into an empty folder");
    }
}
