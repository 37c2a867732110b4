using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>
/// The lines of an export (NDJSON): each event as it was hashed with its hash at the end, and checkpoints. Nothing of a line is left unchecked, and
/// reading one needs no parser: what was hashed is the line without its last 75 characters, and a brace.
/// </summary>
public static class ExportFile
{
    private const int HashLength = 64;
    private const int LongestLine = 16 << 20;

    private static ReadOnlySpan<byte> BeforeHash => ",\"hash\":\""u8;

    private static ReadOnlySpan<byte> AfterHash => "\"}"u8;

    /// <summary>An event's line, without its end.</summary>
    public static string LineOf(LedgerEvent entry) => string.Concat(entry.Body.AsSpan(0, entry.Body.Length - 1), ",\"hash\":\"", entry.Hash, "\"}");

    /// <summary>Reads to the end, or to the first flaw.</summary>
    public static async Task<Flaw?> CheckAsync(Stream file, ChainProof proof, CancellationToken cancellationToken)
    {
        var buffer = new byte[1 << 20];
        var filled = 0;
        while (true)
        {
            if (filled == buffer.Length)
            {
                if (buffer.Length >= LongestLine)
                    return new Flaw(proof.Last.Seq + 1, "is no line of an export");
                Array.Resize(ref buffer, buffer.Length * 2);
            }

            var read = await file.ReadAsync(buffer.AsMemory(filled), cancellationToken);
            if (read == 0)
                return filled > 0 ? new Flaw(proof.Last.Seq + 1, "is no whole line") : proof.End();

            filled += read;
            if (CheckLines(buffer.AsSpan(0, filled), proof, out var used) is { } flaw)
                return flaw;
            buffer.AsSpan(used, filled - used).CopyTo(buffer);
            filled -= used;
        }
    }

    private static Flaw? CheckLines(Span<byte> bytes, ChainProof proof, out int used)
    {
        used = 0;
        for (var length = bytes.IndexOf((byte)'\n'); length >= 0; length = bytes[used..].IndexOf((byte)'\n'))
        {
            if (CheckLine(bytes.Slice(used, length), proof) is { } flaw)
                return flaw;
            used += length + 1;
        }

        return null;
    }

    private static Flaw? CheckLine(Span<byte> line, ChainProof proof)
    {
        if (Checkpoint.IsLine(line))
        {
            if (!Checkpoint.TryReadLine(line, out var checkpoint))
                return new Flaw(proof.Last.Seq, "is followed by a checkpoint that is damaged");
            return proof.HasBegun ? proof.Add(checkpoint) : proof.Begin(checkpoint);
        }

        var tail = line.Length - BeforeHash.Length - HashLength - AfterHash.Length;
        if (tail < 1 || !line[tail..].StartsWith(BeforeHash) || !line.EndsWith(AfterHash))
            return new Flaw(proof.Last.Seq + 1, "is no line of an export");

        var hash = Encoding.ASCII.GetString(line.Slice(tail + BeforeHash.Length, HashLength));
        // What was hashed ends where its hash was put in.
        line[tail] = (byte)'}';
        return proof.Add(line[..(tail + 1)], hash);
    }
}
