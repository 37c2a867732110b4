using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Application.Tests.Verification;

public class LedgerHashesTests
{
    private FakeLedgerReader _ledger = null!;
    private RecentChanges _changes = null!;

    [SetUp]
    public void SetUp() => (_ledger, _changes) = (new FakeLedgerReader(), new RecentChanges());

    [Test]
    public async Task More_places_than_are_remembered_are_looked_up_again()
    {
        var marks = new LedgerHashes(_ledger, _changes, capacity: 3);
        var entries = Enumerable.Range(0, 10).Select(_ => _ledger.Append()).ToList();

        foreach (var entry in entries.Concat(entries))
            Assert.That(await marks.HoldsAsync(entry.Seq, LedgerHashes.MarkOf(entry.Hash)));
        var reads = _ledger.Reads;
        Assert.That(await marks.HoldsAsync(10, LedgerHashes.MarkOf(entries[9].Hash)));
        Assert.That(await marks.HoldsAsync(1, LedgerHashes.MarkOf(entries[0].Hash)));

        Assert.That((reads, _ledger.Reads), Is.EqualTo((20, 21)));
    }

    [Test]
    public async Task Another_event_in_the_place_or_none_is_a_no()
    {
        var marks = new LedgerHashes(_ledger, _changes);
        var entry = _ledger.Append();

        Assert.That(await marks.HoldsAsync(1, LedgerHashes.MarkOf(LedgerEvent.NoHash)), Is.False, "0 is what an entry without a hash says");
        Assert.That(await marks.HoldsAsync(1, LedgerHashes.MarkOf(entry.Hash) + 1), Is.False);
        Assert.That(await marks.HoldsAsync(2, LedgerHashes.MarkOf(entry.Hash)), Is.False);
    }

    [Test]
    public async Task What_was_remembered_of_one_ledger_says_nothing_about_the_next()
    {
        var marks = new LedgerHashes(_ledger, _changes);
        var entry = _ledger.Append();
        await marks.HoldsAsync(1, LedgerHashes.MarkOf(entry.Hash));
        _ledger.Edit(1, old => LedgerEvent.Append(LedgerPosition.Start, old.At, new PendingEvent(EventType.AuditRead, Actor.System, null, null)));
        _changes.Restart(1, "another");

        Assert.That(await marks.HoldsAsync(1, LedgerHashes.MarkOf(entry.Hash)), Is.False);
    }
}
