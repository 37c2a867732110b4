using Mira.Application.Ledger;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Audit;

/// <summary>
/// Holds a stored ledger against its signatures, from its first event to where its head stands; more may be appended
/// and pruned meanwhile.
/// </summary>
public static class LedgerVerification
{
    private const int PageSize = 2_000;

    /// <param name="begin">Makes a proof that has seen nothing.</param>
    /// <exception cref="StoreUnavailableException">It cannot be read; what was found until then is in the proof made
    /// last.</exception>
    /// <param name="pace">Waits after so many events, when it is not to be done at once.</param>
    public static async Task<ChainFault?> CheckAsync(
        ILedgerReader ledger, ILedgerArchive archive, Func<ChainProof> begin, CancellationToken cancellationToken, Func<int, Task>? pace = null)
    {
        while (true)
        {
            var cut = await archive.FindCutAsync(cancellationToken);
            var flaw = await CheckAsync(ledger, archive, cut, begin(), pace, cancellationToken);
            if (flaw is null || await archive.FindCutAsync(cancellationToken) == cut)
                return flaw;
        }
    }

    /// <summary>Does it hold this event, or can it have been pruned?</summary>
    /// <param name="keys">Those that are believed about a cut.</param>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    public static async Task<bool> HoldsAsync(
        ILedgerReader ledger, ILedgerArchive archive, Checkpoint known, IEnumerable<AuditPublicKey> keys, CancellationToken cancellationToken)
    {
        // In this order: what is pruned meanwhile was there, or is behind the cut that is read then.
        if (await ledger.ReadFromAsync(known.Seq, 1, cancellationToken) is [var entry] && entry.Position == known.Position)
            return true;
        return await archive.FindCutAsync(cancellationToken) is { } cut && keys.Any(key => key.Verifies(cut, isCut: true))
            && (cut.Seq > known.Seq || cut.Position == known.Position);
    }

    private static async Task<ChainFault?> CheckAsync(
        ILedgerReader ledger, ILedgerArchive archive, Checkpoint? cut, ChainProof proof, Func<int, Task>? pace, CancellationToken cancellationToken)
    {
        // In this order: a checkpoint is never about more than the head that is read after it.
        var newest = await archive.FindNewestAsync(cancellationToken);
        var head = await archive.ReadHeadAsync(cancellationToken);
        if (cut is not null && (proof.Begin(cut) ?? (proof.IsPart ? new ChainFault(cut.Seq + 1, "does not begin the ledger: what is before it was not pruned") : null)) is { } flaw)
            return flaw;

        while (proof.Last.Seq < head.Position.Seq)
        {
            var page = await ledger.ReadFromAsync(proof.Last.Seq + 1, PageSize, cancellationToken);
            if (page.Count == 0)
                return new ChainFault(proof.Last.Seq + 1, "is missing");
            var kept = await archive.FindCheckpointsAsync(new LedgerRange(page[0].Seq, page[^1].Seq), null, page.Count, cancellationToken);
            if (CheckPage(page, kept, head, proof) is { } found)
                return found;
            if (pace is not null)
                await pace(page.Count);
        }

        if (newest?.Seq > head.Position.Seq)
            return new ChainFault(head.Position.Seq + 1, $"is missing: a checkpoint knows the ledger up to {newest.Seq}");
        if (head.Position == LedgerPosition.Start)
            return null;
        return head.Statement is { } statement ? proof.Add(statement) ?? proof.End() : new ChainFault(head.Position.Seq, "is the last, but not signed for");
    }

    private static ChainFault? CheckPage(IReadOnlyList<LedgerEvent> page, IReadOnlyList<Checkpoint> kept, SignedHead head, ChainProof proof)
    {
        var next = 0;
        foreach (var entry in page.TakeWhile(entry => entry.Seq <= head.Position.Seq || proof.Last.Seq < head.Position.Seq))
        {
            // What was edited may be of another type than its column holds.
            if (entry.IsUnreadable)
                return new ChainFault(proof.Last.Seq + 1, "is no event any more");
            if (proof.Add(entry) is { } flaw)
                return flaw;
            if (next == kept.Count || kept[next].Seq > entry.Seq)
                continue;

            // The head itself may be kept already; it is looked at in the end.
            var checkpoint = kept[next++];
            var wrong = checkpoint.Seq == head.Position.Seq ? Contradiction(checkpoint, head) : proof.Add(checkpoint);
            if (wrong is not null)
                return wrong;
        }

        return null;
    }

    private static ChainFault? Contradiction(Checkpoint checkpoint, SignedHead head) =>
        checkpoint == head.Statement ? null : new ChainFault(checkpoint.Seq, "is the last, but its checkpoint says something else than the head");
}
