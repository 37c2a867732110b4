using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>
/// The lines of an export (NDJSON): each event as it was hashed with its hash at the end, and checkpoints. Nothing of a
/// line is left unchecked, and reading one needs no parser: what was hashed is the line without its last 75 characters,
/// and a brace. It is fed as it comes.
/// </summary>
public sealed class ExportFile(ChainProof proof)
{
    private const int HashLength = 64;
    private const int LongestLine = 16 << 20;

    private byte[] _buffer = new byte[1 << 16];
    private int _filled;

    private static ReadOnlySpan<byte> BeforeHash => ",\"hash\":\""u8;

    private static ReadOnlySpan<byte> AfterHash => "\"}"u8;

    /// <summary>An event's line, without its end.</summary>
    public static string LineOf(LedgerEvent entry) => string.Concat(entry.Body.AsSpan(0, entry.Body.Length - 1), EndOf(entry.Hash));

    /// <summary>Is this the line of the event with that hash?</summary>
    public static bool HasHash(string line, string hash) => line.EndsWith(EndOf(hash), StringComparison.Ordinal);

    /// <summary>Takes the next bytes of the file.</summary>
    public ChainFault? Take(ReadOnlySpan<byte> bytes)
    {
        if (_filled + bytes.Length > _buffer.Length)
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _filled + bytes.Length));
        bytes.CopyTo(_buffer.AsSpan(_filled));
        _filled += bytes.Length;

        if (CheckLines(_buffer.AsSpan(0, _filled), out var used) is { } flaw)
            return flaw;
        _buffer.AsSpan(used, _filled - used).CopyTo(_buffer);
        _filled -= used;
        return _filled > LongestLine ? NoLine() : null;
    }

    /// <summary>Says that the file has ended.</summary>
    public ChainFault? End() => _filled > 0 ? new ChainFault(proof.Last.Seq + 1, "is no whole line") : proof.End();

    private ChainFault? CheckLines(Span<byte> bytes, out int used)
    {
        used = 0;
        for (var length = bytes.IndexOf((byte)'\n'); length >= 0; length = bytes[used..].IndexOf((byte)'\n'))
        {
            if (CheckLine(bytes.Slice(used, length)) is { } flaw)
                return flaw;
            used += length + 1;
        }

        return null;
    }

    private ChainFault? CheckLine(Span<byte> line)
    {
        if (Checkpoint.IsLine(line))
        {
            if (!Checkpoint.TryReadLine(line, out var checkpoint))
                return new ChainFault(proof.Last.Seq, "is followed by a checkpoint that is damaged");
            return proof.HasBegun ? proof.Add(checkpoint) : proof.Begin(checkpoint);
        }

        var tail = line.Length - BeforeHash.Length - HashLength - AfterHash.Length;
        if (tail < 1 || !line[tail..].StartsWith(BeforeHash) || !line.EndsWith(AfterHash))
            return NoLine();

        var hash = Encoding.ASCII.GetString(line.Slice(tail + BeforeHash.Length, HashLength));
        // What was hashed ends where its hash was put in.
        line[tail] = (byte)'}';
        return proof.Add(line[..(tail + 1)], hash);
    }

    private static string EndOf(string hash) => $",\"hash\":\"{hash}\"}}";

    private ChainFault NoLine() => new(proof.Last.Seq + 1, "is no line of an export");
}
