using System.Text;
using Mira.Domain.Keys;

namespace Mira.Domain.Ledger;

/// <summary>
/// How a new audit key takes over: an event names the key that signed before it. That event is signed for by the new key like all others, so
/// who believes the new one learns from the ledger which one to believe about what is older.
/// </summary>
/// <param name="From">The key that signed before.</param>
/// <param name="To">The one that signs from this event on.</param>
public sealed record KeyHandover(AuditPublicKey From, AuditPublicKey To)
{
    /// <summary>Why a <see cref="EventType.SystemStarted"/> is recorded that is no start.</summary>
    public const string Reason = "audit_key_changed";

    /// <summary>How that reason stands in the canonical form of an event.</summary>
    public const string Mark = "\"reason\":\"" + Reason + "\"";

    private const string Field = "audit_key";

    public EventDraft Draft() => new(EventType.SystemStarted, Actor.System, null, null)
    {
        Reason = Reason,
        Changes = [FieldChange.Of(Field, From.Text, To.Text)],
    };

    /// <summary>Has somebody taken over from this key, and signed this end?</summary>
    public bool HasEnded(AuditPublicKey key, Checkpoint? end) => From == key && To != key && end is not null && To.Verifies(end);

    /// <summary>Null when the event tells of none.</summary>
    public static KeyHandover? Read(LedgerEvent entry) => Read(Encoding.UTF8.GetBytes(entry.Body));

    /// <param name="body">The event's canonical JSON, UTF-8.</param>
    internal static KeyHandover? Read(ReadOnlySpan<byte> body) =>
        body.IndexOf("\"audit_key_changed\""u8) >= 0
        && EventBody.FindText(body, "type") == EventType.SystemStarted && EventBody.FindText(body, "reason") == Reason
        && EventBody.FindText(body, "changes", Field, "from") is { } from && AuditPublicKey.FromText(from) is { } earlier
        && EventBody.FindText(body, "changes", Field, "to") is { } to && AuditPublicKey.FromText(to) is { } later
            ? new KeyHandover(earlier, later)
            : null;
}
