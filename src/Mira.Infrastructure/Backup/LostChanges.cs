using System.Text;
using System.Text.Json;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Backup;

/// <summary>One change of a key that is in the old ledger and not in the backup.</summary>
public sealed record LostChange(long Seq, string At, string Type, string KeyId);

/// <summary>What an export of the old ledger knows, and the backup does not.</summary>
/// <param name="UpTo">The last event of the export.</param>
internal sealed record LostChanges(long UpTo, IReadOnlyList<LostChange> Changes)
{
    private const string Option = "--export";

    /// <exception cref="SettingException">The export is not whole, or is of another ledger.</exception>
    public static async Task<LostChanges> ReadAsync(string path, LedgerPosition end, AuditPublicKey key, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
            throw new SettingException(Option, "the file cannot be read");

        try
        {
            var (fault, proof) = await new OfflineLedger([key], []).CheckFileAsync(path, cancellationToken);
            if (fault is not null)
                throw new SettingException(Option, $"the export is not whole: {fault}");
            return new LostChanges(proof.Last.Seq, await FindAsync(path, end, cancellationToken));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(Option, "the file cannot be read", exception);
        }
    }

    private static async Task<List<LostChange>> FindAsync(string path, LedgerPosition end, CancellationToken cancellationToken)
    {
        var changes = new List<LostChange>();
        await foreach (var line in File.ReadLinesAsync(path, cancellationToken))
        {
            if (line.Length == 0 || Checkpoint.IsLine(Encoding.UTF8.GetBytes(line)))
                continue;

            using var document = JsonDocument.Parse(line);
            var (entry, seq) = (document.RootElement, document.RootElement.GetProperty("seq").GetInt64());
            if (seq == end.Seq && !ExportFile.HasHash(line, end.Hash))
                throw new SettingException(Option, "the export is of another ledger than the backup");

            var type = entry.GetProperty("type").GetString()!;
            if (seq > end.Seq && type.StartsWith(EventType.OfKeys, StringComparison.Ordinal))
                changes.Add(new LostChange(seq, entry.GetProperty("at").GetString()!, type, entry.GetProperty("subject").GetString() ?? ""));
        }

        return changes;
    }
}
