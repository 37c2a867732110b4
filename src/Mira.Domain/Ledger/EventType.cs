namespace Mira.Domain.Ledger;

/// <summary>The types of events the ledger holds.</summary>
public static class EventType
{
    public const string KeyCreated = "key.created";
    public const string KeyUpdated = "key.updated";
    public const string KeyRotated = "key.rotated";
    public const string KeyRevoked = "key.revoked";
    public const string KeyDisabled = "key.disabled";
    public const string KeyEnabled = "key.enabled";
    public const string AuthFailed = "auth.failed";
    public const string AccessDenied = "access.denied";
    public const string LimitExceeded = "limit.exceeded";
    public const string AuditRead = "audit.read";
    public const string AuditExported = "audit.exported";
    public const string AuditPruned = "audit.pruned";
    public const string IntegrityViolation = "integrity.violation";
    public const string SystemStarted = "system.started";
    public const string SystemStopped = "system.stopped";

    /// <summary>What the types of all changes of keys begin with.</summary>
    public const string OfKeys = "key.";

    /// <summary>Every type an event can have, also those that this version does not write itself.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        KeyCreated, KeyUpdated, KeyRotated, KeyRevoked, KeyDisabled, KeyEnabled, SystemStarted, SystemStopped,
        AuthFailed, AccessDenied, LimitExceeded, AuditRead, IntegrityViolation, AuditExported, AuditPruned,
        "webhook.accepted", "webhook.delivered", "webhook.failed",
    ];
}
