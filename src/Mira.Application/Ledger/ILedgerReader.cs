using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Ledger;

/// <summary>Reads the ledger, as an audit trail and as the feed of changes.</summary>
public interface ILedgerReader
{
    Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken);

    /// <summary>What a node that begins has to know, without reading the ledger itself.</summary>
    /// <param name="depth">How many of the last events to look through for changed keys.</param>
    Task<LedgerOutline> GetOutlineAsync(int depth, CancellationToken cancellationToken);

    /// <summary>Events from this seq on, oldest first.</summary>
    Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken);

    /// <summary>Events that match, newest first.</summary>
    Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken);
}

/// <param name="Epoch">See <see cref="LedgerEpoch"/>.</param>
/// <param name="Floor">The seq after which the changes are known.</param>
/// <param name="Changes">Which keys were changed after the floor, oldest first.</param>
public sealed record LedgerOutline(LedgerPosition Head, string Epoch, long Floor, IReadOnlyList<(long Seq, KeyId Id)> Changes);

/// <param name="From">Inclusive.</param>
/// <param name="To">Exclusive.</param>
/// <param name="Before">Only events with a smaller seq.</param>
public sealed record EventFilter(
    string? Type, string? Subject, string? ActorKeyId, DateTimeOffset? From, DateTimeOffset? To, long? Before, int Limit);
