using Mira.Domain.Ledger;

namespace Mira.Application.Ledger;

/// <summary>
/// An epoch is a stretch of one ledger in which a seq means the same to everybody. It begins with the first event, and
/// anew when a node records that the ledger is not the one it had seen (a backup was restored, a standby took over). It
/// is named by that event's hash, so it needs no place of its own, all nodes agree on it, and a restored ledger can
/// never come back to the name it had.
/// </summary>
public static class LedgerEpoch
{
    /// <summary>Why an <see cref="EventType.IntegrityViolation"/> is recorded that begins an epoch.</summary>
    public const string Reason = "ledger_replaced";

    /// <summary>
    /// How that reason stands in the canonical form of an event, where nothing else can look like it.
    /// </summary>
    public const string Mark = "\"reason\":\"" + Reason + "\"";

    private const int NameLength = 16;

    /// <summary>Null when the event does not begin one.</summary>
    public static string? StartedBy(LedgerEvent entry) =>
        entry.Seq == 1 || (entry is { Type: EventType.IntegrityViolation, Subject: null } && entry.Body.Contains(Mark, StringComparison.Ordinal))
            ? NameOf(entry.Hash)
            : null;

    /// <summary>Records that the ledger is another one.</summary>
    /// <exception cref="LedgerUnavailableException">It cannot be written.</exception>
    public static Task BeginAsync(ILedger ledger, string finding, CancellationToken cancellationToken) => ledger.ChangeAsync(
        change =>
        {
            change.Record(new KeyEvent(EventType.IntegrityViolation, Reason, [FieldChange.Of("finding", null, finding)]));
            return Task.FromResult(true);
        },
        cancellationToken);

    public static string NameOf(string hash) => hash[..NameLength];
}
