using System.Collections.Concurrent;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Application.Audit;

/// <summary>
/// Keeps events that are not what was hashed from being given out as true. One that is found so is left out, makes the
/// chain broken, and is told of in the trail itself, once.
/// </summary>
/// <param name="most">How many are told of one by one; more only make the chain broken.</param>
public sealed class EventViolations(LedgerPoller poller, AggregatedEvents gathered, int most = EventViolations.Most)
{
    /// <summary>Why an <see cref="EventType.IntegrityViolation"/> is recorded.</summary>
    public const string Reason = "event_edited";

    public const int Most = 1_000;

    private readonly ConcurrentDictionary<long, byte> _told = new();

    /// <param name="events">Newest first.</param>
    public IReadOnlyList<LedgerEvent> LeaveOut(IReadOnlyList<LedgerEvent> events)
    {
        var whole = new List<LedgerEvent>(events.Count);
        LedgerEvent? next = null;
        foreach (var entry in events)
        {
            // One that was hashed again is not the one that its successor names.
            if (!entry.IsWhole() || (next is not null && next.Seq == entry.Seq + 1 && next.PreviousHash != entry.Hash))
                Report(entry.Seq);
            else
                whole.Add(entry);
            // What cannot be read names none, and must not take the one before it along.
            next = entry.IsUnreadable ? null : entry;
        }

        return whole;
    }

    /// <summary>Says that the event in this place is not what was hashed.</summary>
    public void Report(long seq)
    {
        poller.ReportBroken();
        if (_told.Count < most && _told.TryAdd(seq, 0))
            gathered.Note(new EventGroup(EventType.IntegrityViolation, Reason), seq, static _ => Actor.System);
    }
}
