using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// What a node knows of one key id: the key as it was at a position of the ledger, or that there is none. Nobody
/// changes it; a change of the key replaces it.
/// </summary>
/// <param name="asOf">The ledger's seq, read in the same statement as the key.</param>
/// <param name="asOfHash">The hash of the event there, see <see cref="LedgerHashes.MarkOf"/>; 0 when it is not
/// known.</param>
public sealed class KeyEntry(KeyId id, ApiKey? key, long asOf, UInt128 asOfHash = default)
{
    private SecretUse[] _uses = [];

    public KeyId Id { get; } = id;

    public ApiKey? Key { get; } = key;

    public long AsOf { get; } = asOf;

    /// <summary>Says of which ledger <see cref="AsOf"/> is.</summary>
    public UInt128 AsOfHash { get; } = asOfHash;

    /// <summary>
    /// The key's counter, found once; it outlives this entry, because a change of the key must not refill its limit.
    /// </summary>
    internal KeyWindow? Meter { get; set; }

    /// <summary>What is kept for one secret of this entry between calls; made at its first use.</summary>
    public SecretUse UseOf(Secret secret)
    {
        foreach (var use in Volatile.Read(ref _uses))
        {
            if (ReferenceEquals(use.Secret, secret))
                return use;
        }

        return AddUse(secret);
    }

    private SecretUse AddUse(Secret secret)
    {
        while (true)
        {
            var known = Volatile.Read(ref _uses);
            if (Array.Find(known, use => ReferenceEquals(use.Secret, secret)) is { } made)
                return made;

            var added = new SecretUse(Id, secret);
            if (Interlocked.CompareExchange(ref _uses, [.. known, added], known) == known)
                return added;
        }
    }
}
