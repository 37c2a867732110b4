using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// The one row that every change locks: where the ledger ends, signed by the node that moved it there.
/// </summary>
public sealed class LedgerHead
{
    public const int OnlyId = 1;

    public int Id { get; set; } = OnlyId;

    public long Seq { get; set; }

    public string Hash { get; set; } = LedgerEvent.NoHash;

    public DateTimeOffset? SignedAt { get; set; }

    public string? Signature { get; set; }

    /// <summary>The text of the public key that tells whether the signature is true.</summary>
    public string? SignedBy { get; set; }

    public LedgerPosition Position => new(Seq, Hash);

    /// <summary>The signed statement about the end; null while there is none.</summary>
    public Checkpoint? Statement => this is { Signature: { } signature, SignedAt: { } at } ? new Checkpoint(Seq, Hash, at, signature) : null;

    internal void Sign(AuditKey key, DateTimeOffset at)
    {
        var signed = key.Sign(Position, at);
        (SignedAt, Signature, SignedBy) = (signed.At, signed.Signature, key.Public.Text);
    }
}

/// <summary>A head that was kept when the ledger went on, to be published.</summary>
public sealed class StoredCheckpoint
{
    public long Seq { get; init; }

    public required string Hash { get; init; }

    public DateTimeOffset At { get; init; }

    public required string Signature { get; init; }

    /// <summary>The id of the key that signed it.</summary>
    public required string SignedBy { get; init; }

    public Checkpoint Statement => new(Seq, Hash, At, Signature);

    internal static StoredCheckpoint Of(Checkpoint statement, AuditPublicKey key) => new()
    {
        Seq = statement.Seq,
        Hash = statement.Hash,
        At = statement.At,
        Signature = statement.Signature,
        SignedBy = key.Id,
    };
}

/// <summary>The one row that stands for what was pruned; none while the ledger begins with its first event.</summary>
public sealed class PruningPoint
{
    public const int OnlyId = 1;

    public int Id { get; set; } = OnlyId;

    /// <summary>The last event that was cut.</summary>
    public long Seq { get; set; }

    public string Hash { get; set; } = LedgerEvent.NoHash;

    public DateTimeOffset SignedAt { get; set; }

    public string Signature { get; set; } = "";

    /// <summary>The ledger's name in this place, which its first event no longer tells.</summary>
    public string Epoch { get; set; } = "";

    public Checkpoint Statement => new(Seq, Hash, SignedAt, Signature);

    internal void Sign(AuditKey key, DateTimeOffset at)
    {
        var signed = key.SignCut(new LedgerPosition(Seq, Hash), at);
        (SignedAt, Signature) = (signed.At, signed.Signature);
    }
}
