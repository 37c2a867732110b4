using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// A cache of keys that all nodes share, beside the store and never instead of it. Others can write there too: what is
/// found is believed only when a node made it, and used only when <see cref="RecentChanges"/> trusts it.
/// </summary>
public interface ISharedKeyCache
{
    /// <summary>False while it does not answer; then it is not asked.</summary>
    bool IsAvailable { get; }

    /// <param name="epoch">What was kept under another one is not found.</param>
    ValueTask<SharedEntry> FindAsync(KeyId id, string epoch);

    /// <summary>Keeps a key for all nodes, some time, if it can. Waits for nothing.</summary>
    void Offer(KeyEntry entry, string epoch);
}

/// <param name="Entry">Null when there is none, or no answer in time.</param>
/// <param name="IsForged">There was one that no node has made.</param>
public readonly record struct SharedEntry(KeyEntry? Entry, bool IsForged);

/// <summary>How the shared storage does, without waiting for it.</summary>
public interface ISharedHealth
{
    /// <summary>Does all of it answer and take writes? Null when none is configured.</summary>
    bool? IsAvailable { get; }
}
