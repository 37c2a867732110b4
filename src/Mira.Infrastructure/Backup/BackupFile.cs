using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Backup;

/// <summary>
/// The file of a backup: a zip with a manifest, the manifest's hash, and the parts that the manifest names. Opening it
/// checks all of it, and nothing else is in it.
/// </summary>
internal sealed class BackupFile : IDisposable
{
    public const string DatabasePart = "mira.db";
    public const string SecretsPart = "secrets";

    private const string ManifestEntry = "manifest.json";
    private const string HashEntry = "manifest.json.sha256";
    private const string HashMark = "sha256:";
    private const int HashLength = 64;
    private const int MostManifest = 1 << 20;
    private const int ChunkSize = 1 << 17;

    private readonly FileStream _file;
    private readonly ZipArchive _zip;

    private BackupFile(FileStream file, ZipArchive zip, BackupManifest manifest) => (_file, _zip, Manifest) = (file, zip, manifest);

    public BackupManifest Manifest { get; }

    /// <summary>Writes a whole backup to a stream that can be read again.</summary>
    /// <param name="database">The file with the copied database.</param>
    public static async Task WriteAsync(Stream target, BackupManifest manifest, string database, byte[]? secrets, CancellationToken cancellationToken)
    {
        await WriteZipAsync(target, manifest, database, secrets, cancellationToken);
        // The headers of a zip have no hash of their own, so the comment at its end holds that of all before it.
        target.Position = 0;
        var hash = await HashAsync(target, target.Length - HashLength, cancellationToken);
        target.Position = target.Length - HashLength;
        await target.WriteAsync(Encoding.ASCII.GetBytes(hash), cancellationToken);
    }

    /// <summary>Opens a backup and checks every byte of its parts.</summary>
    /// <param name="option">The option that names the file.</param>
    /// <exception cref="SettingException">It cannot be read, or is no whole backup of a format that is
    /// known.</exception>
    public static async Task<BackupFile> OpenAsync(string option, string path, CancellationToken cancellationToken)
    {
        FileStream? file = null;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            var zip = new ZipArchive(file, ZipArchiveMode.Read);
            var backup = new BackupFile(file, zip, await ReadManifestAsync(zip, cancellationToken));
            await backup.CheckAsync(cancellationToken);
            await CheckWholeAsync(file, cancellationToken);
            file = null;
            return backup;
        }
        catch (NewerBackupException exception)
        {
            throw new SettingException(option, $"was made by a newer version of Mira (format {exception.Version}, and this version knows {BackupManifest.NewestVersion}): restore it with that version", exception);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            throw new SettingException(option, "the file cannot be read", exception);
        }
        catch (Exception exception) when (exception is InvalidDataException or JsonException or IOException or FormatException or NotSupportedException or ArgumentException)
        {
            throw new SettingException(option, "the file is no backup of Mira, or it is damaged or cut off", exception);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <summary>
    /// Puts the database into a new file that its owner alone can read, on the disk when this is done.
    /// </summary>
    /// <exception cref="InvalidDataException">It is not what was checked.</exception>
    public async Task ExtractDatabaseAsync(string path, CancellationToken cancellationToken)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
        await using var target = new FileStream(path, options);
        await CopyAsync(Manifest.Part(DatabasePart)!, target, cancellationToken);
        target.Flush(flushToDisk: true);
    }

    /// <summary>The wrapped secrets; null when they were left out.</summary>
    public async Task<byte[]?> ReadSecretsAsync(CancellationToken cancellationToken)
    {
        if (Manifest.Part(SecretsPart) is not { } part)
            return null;

        using var bytes = new MemoryStream();
        await CopyAsync(part, bytes, cancellationToken);
        return bytes.ToArray();
    }

    public void Dispose()
    {
        _zip.Dispose();
        _file.Dispose();
    }

    private static async Task WriteZipAsync(Stream target, BackupManifest manifest, string database, byte[]? secrets, CancellationToken cancellationToken)
    {
        var bytes = manifest.ToBytes();
        await using var zip = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true);
        zip.Comment = HashMark + new string('0', HashLength);
        await AddAsync(zip, ManifestEntry, manifest, new MemoryStream(bytes), cancellationToken);
        await AddAsync(zip, HashEntry, manifest, new MemoryStream(Encoding.ASCII.GetBytes($"{Convert.ToHexStringLower(SHA256.HashData(bytes))}  {ManifestEntry}\n")), cancellationToken);
        if (secrets is not null)
            await AddAsync(zip, SecretsPart, manifest, new MemoryStream(secrets), cancellationToken);
        await using var copy = File.OpenRead(database);
        await AddAsync(zip, DatabasePart, manifest, copy, cancellationToken);
    }

    private static async Task CheckWholeAsync(FileStream file, CancellationToken cancellationToken)
    {
        file.Position = 0;
        var hash = await HashAsync(file, file.Length - HashLength, cancellationToken);
        var told = new byte[HashLength];
        await file.ReadExactlyAsync(told, cancellationToken);
        if (Encoding.ASCII.GetString(told) != hash)
            throw new InvalidDataException("The file does not have its hash.");
    }

    /// <summary>The SHA-256 of the next bytes, as hexadecimal digits.</summary>
    private static async Task<string> HashAsync(Stream source, long count, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var chunk = new byte[ChunkSize];
        while (count > 0)
        {
            var part = chunk.AsMemory(0, (int)Math.Min(count, ChunkSize));
            await source.ReadExactlyAsync(part, cancellationToken);
            hash.AppendData(part.Span);
            count -= part.Length;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static async Task AddAsync(ZipArchive zip, string name, BackupManifest manifest, Stream content, CancellationToken cancellationToken)
    {
        var entry = zip.CreateEntry(name, CompressionLevel.Fastest);
        entry.LastWriteTime = manifest.MadeAt;
        entry.ExternalAttributes = Convert.ToInt32("100600", 8) << 16;
        await using var target = await entry.OpenAsync(cancellationToken);
        await content.CopyToAsync(target, ChunkSize, cancellationToken);
    }

    private static async Task<BackupManifest> ReadManifestAsync(ZipArchive zip, CancellationToken cancellationToken)
    {
        var bytes = await ReadSmallAsync(zip, ManifestEntry, cancellationToken);
        var told = Encoding.ASCII.GetString(await ReadSmallAsync(zip, HashEntry, cancellationToken));
        if (told != $"{Convert.ToHexStringLower(SHA256.HashData(bytes))}  {ManifestEntry}\n")
            throw new InvalidDataException("The manifest does not have its hash.");

        var manifest = BackupManifest.Read(bytes);
        string[] expected = [ManifestEntry, HashEntry, .. manifest.Parts.Select(part => part.Name)];
        var isWhole = zip.Entries.Select(entry => entry.FullName).Order(StringComparer.Ordinal).SequenceEqual(expected.Order(StringComparer.Ordinal))
            && manifest.Part(DatabasePart) is not null
            && manifest.Parts.Count == (manifest.Secrets is null ? 1 : 2)
            && (manifest.Part(SecretsPart) is null) == (manifest.Secrets is null);
        return isWhole ? manifest : throw new InvalidDataException("The file does not hold what its manifest names.");
    }

    private static async Task<byte[]> ReadSmallAsync(ZipArchive zip, string name, CancellationToken cancellationToken)
    {
        var entry = zip.GetEntry(name) ?? throw new InvalidDataException($"There is no {name}.");
        if (entry.Length > MostManifest)
            throw new InvalidDataException($"{name} is too long.");

        await using var content = await entry.OpenAsync(cancellationToken);
        var bytes = new byte[entry.Length];
        await content.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }

    private async Task CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var part in Manifest.Parts)
            await CopyAsync(part, Stream.Null, cancellationToken);
    }

    private async Task CopyAsync(BackupPart part, Stream target, CancellationToken cancellationToken)
    {
        await using var content = await _zip.GetEntry(part.Name)!.OpenAsync(cancellationToken);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var chunk = new byte[ChunkSize];
        var size = 0L;
        for (var read = await content.ReadAsync(chunk, cancellationToken); read > 0; read = await content.ReadAsync(chunk, cancellationToken))
        {
            size += read;
            if (size > part.Size)
                break;
            hash.AppendData(chunk, 0, read);
            await target.WriteAsync(chunk.AsMemory(0, read), cancellationToken);
        }

        if (size != part.Size || Convert.ToHexStringLower(hash.GetHashAndReset()) != part.Sha256)
            throw new InvalidDataException($"{part.Name} does not have its hash.");
    }
}
