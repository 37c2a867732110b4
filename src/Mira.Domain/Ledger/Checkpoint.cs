using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mira.Domain.Ledger;

/// <summary>
/// A signed statement about one place of the ledger: with it in hand, everything up to that place is proved by the
/// chain, and a ledger without it is not the same any more. What is signed is the canonical JSON of its other fields.
/// </summary>
/// <param name="Signature">ECDSA over SHA-256, DER (RFC 3279), in base64.</param>
public sealed record Checkpoint(long Seq, string Hash, DateTimeOffset At, string Signature)
{
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    private static readonly string LineStart = "{\"checkpoint\":";

    public LedgerPosition Position => new(Seq, Hash);

    /// <summary>How it is published, and stands in an export: one line of JSON, without its end.</summary>
    public string ToLine() => string.Create(
        CultureInfo.InvariantCulture,
        $"{LineStart}{{\"at\":\"{Rfc3339.Format(At)}\",\"hash\":\"{Hash}\",\"seq\":{Seq},\"signature\":\"{Signature}\"}}}}");

    public override string ToString() => ToLine();

    /// <summary>Is the line meant to be a checkpoint? Events begin with their actor.</summary>
    public static bool IsLine(ReadOnlySpan<byte> line) => line.StartsWith("{\"checkpoint\":"u8);

    /// <summary>Takes exactly what <see cref="ToLine"/> makes.</summary>
    public static bool TryReadLine(ReadOnlySpan<byte> line, [NotNullWhen(true)] out Checkpoint? checkpoint)
    {
        checkpoint = null;
        try
        {
            var reader = new Utf8JsonReader(line);
            using var document = JsonDocument.ParseValue(ref reader);
            var fields = document.RootElement.GetProperty("checkpoint");
            if (!DateTimeOffset.TryParseExact(
                    fields.GetProperty("at").GetString(), TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
            {
                return false;
            }

            var read = new Checkpoint(
                fields.GetProperty("seq").GetInt64(), fields.GetProperty("hash").GetString() ?? "", at, fields.GetProperty("signature").GetString() ?? "");
            if (line.SequenceEqual(Encoding.UTF8.GetBytes(read.ToLine())))
                checkpoint = read;
            return checkpoint is not null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            return false;
        }
    }

    /// <summary>
    /// What is signed. A cut says another thing than a checkpoint, so that none can be passed off as the other.
    /// </summary>
    internal static byte[] Statement(long seq, string hash, DateTimeOffset at, bool isCut) => Encoding.UTF8.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"{{\"at\":\"{Rfc3339.Format(at)}\",{(isCut ? "\"cut\":true," : "")}\"hash\":\"{hash}\",\"seq\":{seq}}}"));
}
