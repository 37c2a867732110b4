using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>
/// How a ledger says of itself that it went on from an end which the service had not signed. The next end is signed all
/// the same, so this event is what keeps that signature from vouching for what lies before it.
/// </summary>
public static class UnauthenticatedHead
{
    /// <summary>Why an <see cref="EventType.IntegrityViolation"/> is recorded.</summary>
    public const string Reason = "head_signature";

    /// <summary>How that reason stands in the canonical form of an event.</summary>
    public const string Mark = "\"reason\":\"" + Reason + "\"";

    /// <param name="finding">What was wrong with the signature.</param>
    public static PendingEvent Draft(string finding) => new(EventType.IntegrityViolation, Actor.System, null, null)
    {
        Outcome = "failure",
        Reason = Reason,
        Changes = [FieldChange.Of("finding", null, finding)],
    };

    /// <summary>Does this event say so of the one before it?</summary>
    public static bool IsToldBy(LedgerEvent entry) => entry.Type == EventType.IntegrityViolation && IsToldBy(Encoding.UTF8.GetBytes(entry.Body));

    /// <param name="body">The event's canonical JSON, UTF-8.</param>
    internal static bool IsToldBy(ReadOnlySpan<byte> body) =>
        body.IndexOf("\"head_signature\""u8) >= 0
        && EventBody.FindText(body, "type") == EventType.IntegrityViolation && EventBody.FindText(body, "reason") == Reason;
}
