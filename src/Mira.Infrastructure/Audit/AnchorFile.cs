using System.Text;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// Checkpoints in a file, a line each. A line that a crash has torn is none; nothing is lost by it, because the next
/// one stands for more.
/// </summary>
public static class AnchorFile
{
    // Some 250 bytes each, and nobody's but this service's.
    private const int TailLength = 1 << 16;

    /// <summary>Opens it for one writer, and makes it for its owner alone.</summary>
    /// <exception cref="IOException">It is a pipe or a device. Who opens a pipe to read waits for somebody who writes,
    /// for ever if need be.</exception>
    public static FileStream Open(string path)
    {
        var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Read,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        if (file.CanSeek)
            return file;

        file.Dispose();
        throw new IOException("It is not a regular file.");
    }

    /// <summary>Adds a checkpoint, on the disk when this is done.</summary>
    public static Task AppendAsync(string path, Checkpoint checkpoint, CancellationToken cancellationToken) =>
        AppendAsync(path, checkpoint.ToLine(), cancellationToken);

    /// <summary>Adds the line of a checkpoint, on the disk when this is done.</summary>
    public static async Task AppendAsync(string path, string text, CancellationToken cancellationToken)
    {
        await using var file = Open(path);
        file.Seek(0, SeekOrigin.End);
        var line = text + "\n";
        // What is torn stays as it is, and the next one begins anew.
        if (file.Length > 0 && !EndsLine(file))
            line = "\n" + line;
        await file.WriteAsync(Encoding.UTF8.GetBytes(line), cancellationToken);
        file.Flush(flushToDisk: true);
    }

    /// <summary>All of them, in the order they were added.</summary>
    public static IEnumerable<Checkpoint> Read(string path) => Parse(File.ReadLines(path));

    /// <summary>The last ones, in the order they were added; none when there is no such file.</summary>
    public static async Task<IReadOnlyList<Checkpoint>> ReadTailAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
            return [];

        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Seek(-Math.Min(TailLength, file.Length), SeekOrigin.End);
        using var reader = new StreamReader(file, Encoding.UTF8);
        return [.. Parse((await reader.ReadToEndAsync(cancellationToken)).Split('\n'))];
    }

    private static IEnumerable<Checkpoint> Parse(IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            if (Checkpoint.TryReadLine(Encoding.UTF8.GetBytes(line), out var checkpoint))
                yield return checkpoint;
        }
    }

    private static bool EndsLine(FileStream file)
    {
        file.Seek(-1, SeekOrigin.End);
        return file.ReadByte() == '\n';
    }
}
