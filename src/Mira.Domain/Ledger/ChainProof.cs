using System.Text;

namespace Mira.Domain.Ledger;

/// <summary>
/// Checks a ledger from its first event to its last with nothing but public keys: each event is whole and follows the
/// one before, each signed statement is true, and the end is signed. What lies outside the ledger (anchors) is held
/// against it on the way. A ledger that tells of an end which was not the service's own is not whole, whoever signed
/// what follows.
/// </summary>
/// <param name="keys">Those that are believed. An earlier one is learned from the event that tells of its successor,
/// and believed about checkpoints before that event alone: it never proves an end, or whoever made a key could bring it
/// in himself.</param>
/// <param name="anchors">Checkpoints published before, in any order.</param>
public sealed class ChainProof(IReadOnlyList<AuditPublicKey> keys, IEnumerable<Checkpoint>? anchors = null)
{
    private readonly List<Checkpoint> _unproved = [];
    private readonly Queue<Checkpoint> _anchors = new(anchors?.OrderBy(anchor => anchor.Seq) ?? Enumerable.Empty<Checkpoint>());
    private Checkpoint? _start;
    private long _checkpointed = -1;

    // A statement of that time is about this event: one of a key that is believed, or the end will say that it is not.
    private long _vouched;

    /// <summary>The event checked last.</summary>
    public LedgerPosition Last { get; private set; } = LedgerPosition.Start;

    /// <summary>The first event of what was checked; null before there is any.</summary>
    public long? First { get; private set; }

    /// <summary>The last statement signed by a key that is believed: everything up to it is proved.</summary>
    public Checkpoint? Proof { get; private set; }

    internal bool HasBegun => _start is not null || First is not null;

    /// <summary>Is this a stretch out of a ledger? Then what lies before and behind it is another matter.</summary>
    public bool IsPart { get; private set; }

    /// <summary>
    /// Takes the signed statement that a ledger or a stretch of it begins with, if it does not begin with its first
    /// event.
    /// </summary>
    public ChainFault? Begin(Checkpoint start)
    {
        var isCut = keys.Any(key => key.Verifies(start, isCut: true));
        if (!isCut && !IsBelieved(start))
            return new ChainFault(start.Seq + 1, "what it begins behind is not signed by a key that is known");

        (_start, IsPart, Last, _checkpointed) = (start, !isCut, start.Position, start.Seq);
        // What begins a stretch is signed when it is exported, so it vouches for nothing. A cut is made of a ledger
        // that holds.
        _vouched = isCut ? start.Seq : 0;
        while (_anchors.TryPeek(out var anchor) && anchor.Seq <= start.Seq)
        {
            if (anchor.Seq == start.Seq && anchor.Hash != start.Hash)
                return new ChainFault(anchor.Seq, "an anchor knows another event in this place");
            _anchors.Dequeue();
        }

        return null;
    }

    /// <summary>Takes the next event as it is stored.</summary>
    public ChainFault? Add(LedgerEvent entry)
    {
        if (!entry.Follows(Last))
            return NotNext(entry.Seq);

        return Take(entry.Position, entry.Type is EventType.SystemStarted or EventType.IntegrityViolation ? Encoding.UTF8.GetBytes(entry.Body) : default);
    }

    /// <summary>Takes the next event as it was hashed.</summary>
    /// <param name="body">Its canonical JSON without the hash, UTF-8.</param>
    public ChainFault? Add(ReadOnlySpan<byte> body, string hash)
    {
        if (!EventBody.TryRead(body, out var place))
            return new ChainFault(Last.Seq + 1, "is no event");
        if (place.Seq != Last.Seq + 1 || place.PreviousHash != Last.Hash)
            return NotNext(place.Seq);
        if (!LedgerEvent.IsHashOf(body, hash))
            return new ChainFault(place.Seq, "is not what was hashed");

        return Take(new LedgerPosition(place.Seq, hash), place.MayTellOfChain ? body : default);
    }

    /// <summary>Takes a checkpoint that stands behind the event it is about.</summary>
    public ChainFault? Add(Checkpoint checkpoint)
    {
        if (checkpoint.Position != Last || checkpoint.Seq <= _checkpointed)
            return new ChainFault(checkpoint.Seq, "the checkpoint is not about the event before it");

        (_checkpointed, _vouched) = (checkpoint.Seq, checkpoint.Seq);
        if (IsBelieved(checkpoint))
            Proof = checkpoint;
        else
            _unproved.Add(checkpoint);
        return null;
    }

    /// <summary>Says that nothing comes any more.</summary>
    public ChainFault? End()
    {
        if (_unproved.Count > 0)
            return new ChainFault(_unproved[0].Seq, "the checkpoint is not signed by a key that is known");
        if (First is not { } first)
            return new ChainFault(Last.Seq + 1, "is missing: there is no event in it");
        if (Proof is null || Proof.Seq < Last.Seq)
            return new ChainFault(Proof is null ? first : Proof.Seq + 1, "is not signed for: no checkpoint of a known key follows it");
        // Both are made for one export, at one moment; a checkpoint from within, brought to the front, has another.
        if (IsPart && Proof.At != _start!.At)
            return new ChainFault(first, "does not begin what was exported: events before it were taken out, or others behind the end");
        return _anchors.TryPeek(out var anchor) && !IsPart
            ? new ChainFault(Last.Seq + 1, $"is missing: an anchor knows the ledger up to {_anchors.Max(known => known.Seq)}, so its end was cut or an older copy put in its place")
            : null;
    }

    /// <param name="telling">Its canonical JSON, when it may tell something of the chain itself.</param>
    private ChainFault? Take(LedgerPosition position, ReadOnlySpan<byte> telling)
    {
        First ??= position.Seq;
        if (!telling.IsEmpty && _vouched < position.Seq - 1 && UnauthenticatedHead.IsToldBy(telling))
            return new ChainFault(Math.Max(First.Value, _vouched + 1), $"is the first of those that were not signed by the service: event {position.Seq} tells of it");

        Last = position;
        while (_anchors.TryPeek(out var anchor) && anchor.Seq <= position.Seq)
        {
            if (anchor.Hash != position.Hash)
                return new ChainFault(position.Seq, "an anchor knows another event in this place");
            _anchors.Dequeue();
            _vouched = anchor.Seq;
            if (!IsBelieved(anchor))
                _unproved.Add(anchor);
        }

        // One that bears no signature is from before they had one, or of a key that was lost: whoever signs for the end
        // vouches for it.
        if (telling.IsEmpty || AuditKeyRotation.Read(telling) is not { } handover || handover is { Signature: not null, IsSigned: false })
            return null;

        // All that is not proved yet was signed before, by this one and no other.
        _unproved.RemoveAll(checkpoint => handover.From.Verifies(checkpoint));
        return null;
    }

    private bool IsBelieved(Checkpoint checkpoint) => keys.Any(key => key.Verifies(checkpoint));

    private ChainFault NotNext(long seq) => seq > Last.Seq + 1
        ? new ChainFault(Last.Seq + 1, $"is missing: after {Last.Seq} comes {seq}")
        : new ChainFault(Last.Seq + 1, "was changed, or does not follow from the event before it");
}

/// <summary>The first thing that is wrong with a ledger.</summary>
/// <param name="Seq">Of the first bad event.</param>
/// <param name="Problem">What is said of it.</param>
public sealed record ChainFault(long Seq, string Problem)
{
    public override string ToString() => $"event {Seq} {Problem}";
}
