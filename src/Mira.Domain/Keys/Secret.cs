using Mira.Domain.Tokens;

namespace Mira.Domain.Keys;

/// <summary>
/// One version of a key's secret half: its digest, and until when it works. Changed by its <see cref="ApiKey"/> alone.
/// </summary>
public sealed class Secret
{
    private Moment _created;
    private Moment _expires;
    private Moment _validTo;
    private Moment _lastUsed;

    internal Secret(int version, HashedToken seal, DateTimeOffset createdAt, DateTimeOffset? expiresAt)
    {
        Version = version;
        PepperId = seal.PepperId;
        Digest = seal.Digest;
        CreatedAt = createdAt;
        ExpiresAt = expiresAt;
    }

    /// <exception cref="FormatException">The digest is none.</exception>
    internal Secret(SecretRecord record)
    {
        if (record.Digest.Length != Tokens.Digest.Size)
            throw new FormatException("It is no digest.");

        Version = record.Version;
        PepperId = string.Intern(record.PepperId);
        Digest = Tokens.Digest.From(record.Digest);
        CreatedAt = record.CreatedAt;
        ExpiresAt = record.ExpiresAt;
        ValidUntil = record.ValidUntil;
        LastUsedAt = record.LastUsedAt;
    }

    private Secret() => PepperId = "";

    /// <summary>1, 2, …; the highest is the current one, all others are superseded.</summary>
    public int Version { get; private set; }

    public string PepperId { get; private set; }

    public Digest Digest { get; private set; }

    public DateTimeOffset CreatedAt
    {
        get => _created.Value;
        private set => _created = value;
    }

    /// <summary>When it was meant to end when it was made; null for never.</summary>
    public DateTimeOffset? ExpiresAt
    {
        get => _expires;
        private set => _expires = value;
    }

    /// <summary>Until when a superseded secret works; null for the current one.</summary>
    public DateTimeOffset? ValidUntil
    {
        get => _validTo;
        private set => _validTo = value;
    }

    public DateTimeOffset? LastUsedAt
    {
        get => _lastUsed;
        private set => _lastUsed = value;
    }

    public bool IsSuperseded => ValidUntil is not null;

    /// <summary>The earlier of both ends; it works while now is before it. Null for never.</summary>
    public DateTimeOffset? Deadline => ValidUntil < (ExpiresAt ?? DateTimeOffset.MaxValue) ? ValidUntil : ExpiresAt;

    internal bool HasEnded(DateTimeOffset now) => Deadline <= now;

    internal void Supersede(DateTimeOffset validUntil) => ValidUntil = validUntil;

    internal bool IsSameAs(Secret other) =>
        (Version, CreatedAt, ExpiresAt, ValidUntil) == (other.Version, other.CreatedAt, other.ExpiresAt, other.ValidUntil)
        && (PepperId != other.PepperId || Matches(other.Digest));

    internal bool Matches(in Digest digest) => Tokens.Digest.FixedTimeEquals(Digest, digest);
}
