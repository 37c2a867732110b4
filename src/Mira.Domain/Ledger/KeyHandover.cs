using Mira.Domain.Keys;

namespace Mira.Domain.Ledger;

/// <summary>
/// How a new audit key takes over: an event names the key that signed before it. That event is signed for by the new key like all others, so
/// who believes the new one learns from the ledger which one to believe about what is older.
/// </summary>
public static class KeyHandover
{
    /// <summary>Why a <see cref="EventType.SystemStarted"/> is recorded that is no start.</summary>
    public const string Reason = "audit_key_changed";

    private const string Field = "audit_key";

    public static EventDraft Draft(AuditPublicKey from, AuditPublicKey to) => new(EventType.SystemStarted, Actor.System, null, null)
    {
        Reason = Reason,
        Changes = [FieldChange.Of(Field, from.Text, to.Text)],
    };

    /// <summary>The key that signed before; null when the event tells of none.</summary>
    internal static AuditPublicKey? EarlierKey(ReadOnlySpan<byte> body) =>
        body.IndexOf("\"audit_key_changed\""u8) >= 0
        && EventBody.FindText(body, "type") == EventType.SystemStarted && EventBody.FindText(body, "reason") == Reason
        && EventBody.FindText(body, "changes", Field, "from") is { } text
            ? AuditPublicKey.FromText(text)
            : null;
}
