using Mira.Domain.Ledger;

namespace Mira.Application.Ledger;

/// <summary>Reads the ledger, as an audit trail and as the feed of changes.</summary>
public interface ILedgerReader
{
    Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken);

    /// <summary>Events from this seq on, oldest first.</summary>
    Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken);

    /// <summary>Events that match, newest first.</summary>
    Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken);
}

/// <param name="From">Inclusive.</param>
/// <param name="To">Exclusive.</param>
/// <param name="Before">Only events with a smaller seq.</param>
public sealed record EventFilter(
    string? Type, string? Subject, string? ActorKeyId, DateTimeOffset? From, DateTimeOffset? To, long? Before, int Limit);
