using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>Which entries of the shared cache this node takes, and which it gives.</summary>
/// <param name="poller">Made on demand, because it needs the key cache that asks here.</param>
public sealed class SharedKeys(
    ISharedKeyCache cache, RecentChanges changes, Lazy<LedgerPoller> poller, LedgerHashes marks, PepperRing peppers, AggregatedEvents gathered)
{
    /// <summary>
    /// Why an <see cref="EventType.IntegrityViolation"/> is recorded when an entry was not made by a node.
    /// </summary>
    public const string Forged = "shared_cache_entry";

    public bool IsAvailable => cache.IsAvailable;

    /// <summary>
    /// Looks there before the store is read. What it finds has yet to be trusted as a read of the store has.
    /// </summary>
    public async Task<SharedLook> FindAsync(KeyId id)
    {
        var epoch = changes.Epoch;
        var found = await cache.FindAsync(id, epoch);
        var entry = found.Entry is { Key: { } key } candidate && IsShareable(key) && await IsOfThisLedgerAsync(candidate) ? candidate : null;
        return new SharedLook(entry, epoch, found.IsForged);
    }

    /// <summary>
    /// Gives what the store said after the look found nothing. Ids that do not exist are not given: who guesses them
    /// would fill the cache.
    /// </summary>
    public void Complete(SharedLook look, KeyEntry stored)
    {
        if (look.IsForged)
            gathered.Note(new EventGroup(EventType.IntegrityViolation, Forged) { Subject = stored.Key?.Id.Value }, stored, _ => Actor.System);
        if (stored.Key is { } key && IsShareable(key))
            cache.Offer(stored, look.Epoch);
    }

    // A digest under another pepper is renewed without an event, which no entry could be checked against: an old entry
    // would bring the old digest back, for good when its pepper is taken off the list. So only the store speaks for
    // keys that are not renewed yet.
    private bool IsShareable(ApiKey key) => !key.IsDoubted && key.Secrets.All(secret => secret.PepperId == peppers.Current.Id);

    private async ValueTask<bool> IsOfThisLedgerAsync(KeyEntry entry)
    {
        try
        {
            // After a restore the ledger may have grown past the entry's place again, with other events: only the same
            // event in that place tells that it is of this ledger.
            if (!await poller.Value.ReachesAsync(entry.AsOf))
                return false;

            var seen = poller.Value.Seen;
            return seen.Seq == entry.AsOf ? LedgerHashes.MarkOf(seen.Hash) == entry.AsOfHash : await marks.HoldsAsync(entry.AsOf, entry.AsOfHash);
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }
}

/// <summary>What a look at the shared cache brought.</summary>
/// <param name="Epoch">The one that held when it began.</param>
public readonly record struct SharedLook(KeyEntry? Entry, string Epoch, bool IsForged);
