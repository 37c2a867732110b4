using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// What a new key is given. The values are well formed already; see <see cref="Label"/>, <see cref="Permission"/>,
/// <see cref="Metadata"/>, <see cref="IpRange"/>.
/// </summary>
public sealed record KeyTerms
{
    public const int MaximumLifetimeDays = 3650;
    public const int MaximumGraceMinutes = 43_200;
    public const int MaximumRateLimit = 10_000_000;

    public required string Name { get; init; }

    public required Role Role { get; init; }

    /// <summary>How long each secret lives, in days; null for ever.</summary>
    public required int? LifetimeDays { get; init; }

    public string? Owner { get; init; }

    public IReadOnlyList<string> Permissions { get; init; } = [];

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = Keys.Metadata.Empty;

    /// <summary>Calls a minute; null for the role's default.</summary>
    public int? RateLimitPerMinute { get; init; }

    /// <summary>From where it may be used; empty for anywhere.</summary>
    public IReadOnlyList<IpRange> AllowedIps { get; init; } = [];
}

/// <summary>A change of a key's terms: what is not set stays.</summary>
public sealed record KeyUpdate
{
    public Optional<string> Name { get; init; }

    public Optional<string?> Owner { get; init; }

    public Optional<Role> Role { get; init; }

    public Optional<IReadOnlyList<string>> Permissions { get; init; }

    public Optional<IReadOnlyDictionary<string, string>> Metadata { get; init; }

    public Optional<int?> RateLimitPerMinute { get; init; }

    public Optional<IReadOnlyList<IpRange>> AllowedIps { get; init; }

    public Optional<bool> Disabled { get; init; }
}

/// <summary>A value that may be absent, which is something else than null.</summary>
public readonly record struct Optional<T>(T Value)
{
    public bool IsSet { get; } = true;

    public static implicit operator Optional<T>(T value) => new(value);

    public T Or(T current) => IsSet ? Value : current;
}

/// <summary>Who looks: a viewer sees itself and the keys of its own owner, everyone else sees all.</summary>
public sealed record Viewpoint(KeyId KeyId, Role Role, string? Owner);

/// <summary>A rotation's wishes. A grace of zero ends every older secret at once: the answer to a leak.</summary>
/// <param name="Grace">How long the secret that was current goes on working.</param>
/// <param name="LifetimeDays">The key's lifetime from now on; null keeps the one it has.</param>
public sealed record Rotation(TimeSpan Grace, int? LifetimeDays = null);
