using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Ledger;

/// <summary>Where keys and their events are written, together or not at all.</summary>
public interface ILedger
{
    /// <summary>
    /// Runs <paramref name="change"/> alone, over all nodes: the lock is taken before anything is read. What it did to
    /// keys is committed with its events, and known to this node's cache before the task completes. A change that did
    /// nothing writes nothing.
    /// </summary>
    /// <exception cref="LedgerUnavailableException">It could not be recorded.</exception>
    /// <exception cref="OverloadedException">Too many changes wait.</exception>
    Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken);
}

/// <summary>One change under the ledger's lock.</summary>
public interface ILedgerChange
{
    /// <summary>The ledger database's clock, the same for the whole change.</summary>
    DateTimeOffset Now { get; }

    /// <summary>The key, followed from here on: what its methods do to it is saved with the change.</summary>
    Task<ApiKey?> FindKeyAsync(KeyId id);

    Task<bool> HasKeysAsync();

    /// <summary>How many admin keys other than this one work now.</summary>
    Task<int> CountActiveAdminsAsync(KeyId except);

    void Add(ApiKey key);

    void Record(KeyEvent systemEvent);

    /// <summary>Records what others did: its actor is its own.</summary>
    void Record(PendingEvent gathered);

    /// <summary>Takes the oldest events away, with a signed statement in their place, and records that.</summary>
    /// <param name="before">Events from this time on stay, and all after the first of them.</param>
    /// <param name="keep">How many of the last events stay in any case.</param>
    /// <param name="most">How many go at once.</param>
    Task<PruneResult> CutAsync(DateTimeOffset before, int keep, int most);

    Task<StoredResponse?> FindAnswerAsync(IdempotentRequest repeat);

    void Remember(IdempotentRequest repeat, string answer);
}

/// <param name="Count">How many events went.</param>
/// <param name="FirstBad">Nothing went, because the chain does not hold there.</param>
public readonly record struct PruneResult(long Count, long? FirstBad);

/// <summary>A request that its caller may send again: the second one gets the first one's answer.</summary>
/// <param name="Caller">The caller's key id; two callers' idempotency keys never meet.</param>
/// <param name="Key">The idempotency key.</param>
/// <param name="Fingerprint">SHA-256 in hex of what was asked: another request under the same key is a mistake.</param>
public sealed record IdempotentRequest(string Caller, string Key, string Fingerprint)
{
    public static readonly TimeSpan KeptFor = TimeSpan.FromHours(24);
}

/// <summary>The answer once given, without its token.</summary>
public sealed record StoredResponse(string Fingerprint, string Answer);
