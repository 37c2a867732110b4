using Mira.Domain.Ledger;

namespace Mira.Application.Ledger;

/// <summary>Reads what proves the ledger: where it begins and ends, and what was signed in between.</summary>
public interface ILedgerArchive
{
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    Task<SignedHead> ReadHeadAsync(CancellationToken cancellationToken);

    /// <summary>What stands for the pruned events; null when none were.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    Task<Checkpoint?> FindCutAsync(CancellationToken cancellationToken);

    /// <summary>The checkpoint kept last, by whatever node.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    Task<Checkpoint?> FindNewestAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The stretch from the first event at or after one time to the last before the other; null when there is none.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    Task<LedgerRange?> FindStretchAsync(DateTimeOffset? from, DateTimeOffset? to, CancellationToken cancellationToken);

    /// <summary>The checkpoints kept of a stretch, oldest first.</summary>
    /// <param name="signedBy">Only those that the key with this id has signed; null for all.</param>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    Task<IReadOnlyList<Checkpoint>> FindCheckpointsAsync(LedgerRange stretch, string? signedBy, int limit, CancellationToken cancellationToken);
}

/// <param name="Statement">Null while nothing has been signed.</param>
/// <param name="SignedBy">The text of the public key.</param>
public sealed record SignedHead(LedgerPosition Position, Checkpoint? Statement, string? SignedBy);

/// <param name="First">The seq of its first event.</param>
/// <param name="Last">The seq of its last event.</param>
public sealed record LedgerRange(long First, long Last);
