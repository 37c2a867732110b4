namespace Mira.Domain.Keys;

/// <summary>Everything a verification can answer.</summary>
public enum VerdictCode
{
    Valid,

    /// <summary>Malformed, unknown, or a secret that is not (or no longer) known: one answer for all of them.</summary>
    InvalidKey,
    KeyRevoked,
    KeyRotatedOut,
    KeyExpired,
    KeyDisabled,
    IpNotAllowed,
    InsufficientPermission,

    /// <summary>It may be used, but has been used as often as it may for now.</summary>
    RateLimited,
}

/// <summary>
/// What a key may do now. The secret is set exactly when the caller proved it, also when the answer is a refusal.
/// </summary>
public readonly record struct Verdict(VerdictCode Code, Secret? Secret)
{
    public static Verdict Invalid => new(VerdictCode.InvalidKey, null);

    public bool IsValid => Code == VerdictCode.Valid;
}

/// <summary>
/// What a caller asks of a key beyond its being valid: at least this role, and all of these permissions.
/// </summary>
public sealed record Demand(Role? Role, IReadOnlyList<string> Permissions)
{
    public static Demand Nothing { get; } = new(null, []);
}

/// <summary>What the codes are called outside; callers branch on these words, so they never change.</summary>
public static class VerdictCodes
{
    public static string Name(this VerdictCode code) => code switch
    {
        VerdictCode.Valid => "valid",
        VerdictCode.InvalidKey => "invalid_key",
        VerdictCode.KeyRevoked => "key_revoked",
        VerdictCode.KeyRotatedOut => "key_rotated_out",
        VerdictCode.KeyExpired => "key_expired",
        VerdictCode.KeyDisabled => "key_disabled",
        VerdictCode.IpNotAllowed => "ip_not_allowed",
        VerdictCode.InsufficientPermission => "insufficient_permission",
        VerdictCode.RateLimited => "rate_limited",
    };
}
