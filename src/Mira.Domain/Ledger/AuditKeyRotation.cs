using System.Globalization;
using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>
/// How a new audit key takes over: an event names the key that signed before it. That event is signed for by the new
/// key like all others, so who believes the new one learns from the ledger which one to believe about what is older.
/// </summary>
/// <param name="From">The key that signed before.</param>
/// <param name="To">The one that signs from this event on.</param>
/// <param name="Signature">Of the key that signed before, over both and the event's place; null when only its public
/// part was at hand.</param>
/// <param name="Seq">Of the event.</param>
public sealed record AuditKeyRotation(AuditPublicKey From, AuditPublicKey To, string? Signature = null, long Seq = 0)
{
    /// <summary>Why a <see cref="EventType.SystemStarted"/> is recorded that is no start.</summary>
    public const string Reason = "audit_key_changed";

    /// <summary>How that reason stands in the canonical form of an event.</summary>
    public const string Mark = "\"reason\":\"" + Reason + "\"";

    private const string Field = "audit_key";
    private const string SignatureField = "audit_key_signature";

    public PendingEvent Draft() => new(EventType.SystemStarted, Actor.System, null, null)
    {
        Reason = Reason,
        Changes = [FieldChange.Of(Field, From.Text, To.Text), .. Signature is null ? [] : new[] { FieldChange.Of(SignatureField, null, Signature) }],
    };

    /// <summary>
    /// Did the key that signed before agree? Whoever can write the ledger can make up an event that says so without it.
    /// </summary>
    public bool IsSigned => Signature is not null && From.Verifies(Statement(From, To, Seq), Signature);

    /// <summary>Has somebody taken over from this key, and signed this end?</summary>
    public bool HasEnded(AuditPublicKey key, Checkpoint? end) => From == key && To != key && end is not null && To.Verifies(end);

    /// <summary>Null when the event tells of none.</summary>
    public static AuditKeyRotation? Read(LedgerEvent entry) => Read(Encoding.UTF8.GetBytes(entry.Body));

    /// <param name="body">The event's canonical JSON, UTF-8.</param>
    internal static AuditKeyRotation? Read(ReadOnlySpan<byte> body) =>
        body.IndexOf("\"audit_key_changed\""u8) >= 0
        && EventBody.FindText(body, "type") == EventType.SystemStarted && EventBody.FindText(body, "reason") == Reason
        && EventBody.FindText(body, "changes", Field, "from") is { } from && AuditPublicKey.FromText(from) is { } earlier
        && EventBody.FindText(body, "changes", Field, "to") is { } to && AuditPublicKey.FromText(to) is { } later
        && EventBody.TryRead(body, out var place)
            ? new AuditKeyRotation(earlier, later, EventBody.FindText(body, "changes", SignatureField, "to"), place.Seq)
            : null;

    /// <summary>What the earlier key signs: canonical JSON, in other words than a checkpoint.</summary>
    internal static byte[] Statement(AuditPublicKey from, AuditPublicKey to, long seq) => Encoding.UTF8.GetBytes(string.Create(
        CultureInfo.InvariantCulture, $"{{\"audit_key\":{{\"from\":\"{from.Text}\",\"to\":\"{to.Text}\"}},\"seq\":{seq}}}"));
}
