using System.Text.Json.Serialization;
using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// All of a key's state as plain values, and nothing that is computed: how it travels to stores that hold no objects.
/// </summary>
public sealed class KeyRecord
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string Role { get; init; }

    public required string? Owner { get; init; }

    public required IReadOnlyList<string> FreePermissions { get; init; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    public required int? RateLimitPerMinute { get; init; }

    public required IReadOnlyList<string> AllowedIps { get; init; }

    public required int? LifetimeDays { get; init; }

    public required bool IsDisabled { get; init; }

    /// <summary>Stored under an earlier name.</summary>
    [JsonPropertyName("IsWithheld")]
    public required bool IsQuarantined { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTimeOffset? RotatedAt { get; init; }

    public required DateTimeOffset? RevokedAt { get; init; }

    public required string? RevokedBy { get; init; }

    public required string? RevokedReason { get; init; }

    public required int Version { get; init; }

    /// <summary>Oldest first.</summary>
    public required IReadOnlyList<SecretRecord> Secrets { get; init; }

    public static KeyRecord Of(ApiKey key) => new()
    {
        Id = key.Id.Value,
        Name = key.Name,
        Role = key.Role.Name(),
        Owner = key.Owner,
        FreePermissions = key.FreePermissions,
        Metadata = key.Metadata,
        RateLimitPerMinute = key.RateLimitPerMinute,
        AllowedIps = [.. key.AllowedIps.Select(range => range.ToString())],
        LifetimeDays = key.LifetimeDays,
        IsDisabled = key.IsDisabled,
        IsQuarantined = key.IsQuarantined,
        CreatedAt = key.CreatedAt,
        CreatedBy = key.CreatedBy,
        RotatedAt = key.RotatedAt,
        RevokedAt = key.RevokedAt,
        RevokedBy = key.RevokedBy,
        RevokedReason = key.RevokedReason,
        Version = key.Version,
        Secrets = [.. key.Secrets.Select(SecretRecord.Of)],
    };

    /// <exception cref="FormatException">It is the record of no key.</exception>
    public ApiKey ToKey() => ApiKey.From(this);
}

/// <summary>All of a secret's state as plain values. The digest is there, the secret itself is not.</summary>
public sealed class SecretRecord
{
    public required int Version { get; init; }

    public required string PepperId { get; init; }

    public required byte[] Digest { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset? ExpiresAt { get; init; }

    public required DateTimeOffset? ValidUntil { get; init; }

    public required DateTimeOffset? LastUsedAt { get; init; }

    internal static SecretRecord Of(Secret secret) => new()
    {
        Version = secret.Version,
        PepperId = secret.PepperId,
        Digest = secret.Digest.ToArray(),
        CreatedAt = secret.CreatedAt,
        ExpiresAt = secret.ExpiresAt,
        ValidUntil = secret.ValidUntil,
        LastUsedAt = secret.LastUsedAt,
    };
}

/// <content>The way back from a record, and whether two stores hold the same.</content>
public sealed partial class ApiKey
{
    /// <summary>
    /// Is it the same key in the same state? Use does not count, nor whether it is quarantined, which is about a
    /// record. A secret whose digest was renewed under another pepper is the same secret.
    /// </summary>
    public bool IsSameAs(ApiKey other) =>
        (Id, Name, Role, Owner) == (other.Id, other.Name, other.Role, other.Owner)
        && (RateLimitPerMinute, LifetimeDays, IsDisabled, Version) == (other.RateLimitPerMinute, other.LifetimeDays, other.IsDisabled, other.Version)
        && (CreatedAt, CreatedBy, RotatedAt) == (other.CreatedAt, other.CreatedBy, other.RotatedAt)
        && (RevokedAt, RevokedBy, RevokedReason) == (other.RevokedAt, other.RevokedBy, other.RevokedReason)
        && FreePermissions.SequenceEqual(other.FreePermissions)
        && Keys.Metadata.AreEqual(Metadata, other.Metadata)
        && AllowedIps.SequenceEqual(other.AllowedIps)
        && _secrets.Count == other._secrets.Count
        && _secrets.Zip(other._secrets).All(pair => pair.First.IsSameAs(pair.Second));

    internal static ApiKey From(KeyRecord record)
    {
        if (!KeyId.TryParse(record.Id, out var id) || !Roles.TryParse(record.Role, out var role) || record.Secrets is not { Count: > 0 })
            throw new FormatException("It is the record of no key.");

        var key = new ApiKey
        {
            Id = id,
            Name = record.Name,
            Role = role,
            Owner = record.Owner,
            FreePermissions = record.FreePermissions.ToArray(),
            Metadata = Keys.Metadata.Of(record.Metadata),
            RateLimitPerMinute = record.RateLimitPerMinute,
            AllowedIps = record.AllowedIps.Select(ReadRange).ToArray(),
            LifetimeDays = record.LifetimeDays,
            IsDisabled = record.IsDisabled,
            IsQuarantined = record.IsQuarantined,
            CreatedAt = record.CreatedAt,
            CreatedBy = string.Intern(record.CreatedBy),
            RotatedAt = record.RotatedAt,
            RevokedAt = record.RevokedAt,
            RevokedBy = record.RevokedBy,
            RevokedReason = record.RevokedReason,
            Version = record.Version,
        };
        key._secrets.AddRange(record.Secrets.OrderBy(secret => secret.Version).Select(secret => new Secret(secret)));
        return key;
    }

    private static IpRange ReadRange(string text) =>
        IpRange.TryParse(text, out var range) ? range : throw new FormatException("It is no address range.");
}
