using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>Reads keys. Changes go through <see cref="Ledger.ILedger"/>.</summary>
public interface IKeyStore
{
    /// <summary>The key, or the fact that there is none, with the ledger's position in the same statement.</summary>
    /// <exception cref="Ledger.StoreUnavailableException">It cannot be read.</exception>
    Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken);

    /// <summary>Keys that match, newest first, each with the seq a cursor can go on from.</summary>
    /// <exception cref="Ledger.StoreUnavailableException">It cannot be read.</exception>
    Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken);
}

/// <param name="Text">Part of the name or owner in any case, or the start of a key id.</param>
/// <param name="Viewpoint">Only keys this caller may see.</param>
/// <param name="Now">The moment for which the status is meant.</param>
/// <param name="Before">Only keys made before this seq.</param>
public sealed record KeyFilter(
    Role? Role, KeyStatus? Status, string? Owner, string? Text, Viewpoint Viewpoint, DateTimeOffset Now, long? Before, int Limit);
