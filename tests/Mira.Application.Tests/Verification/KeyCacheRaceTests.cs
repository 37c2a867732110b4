using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public class KeyCacheRaceTests
{
    private FakeKeyStore _store = null!;
    private RecentChanges _changes = null!;
    private KeyCache _directory = null!;
    private HeldKey _held = null!;

    [SetUp]
    public void SetUp()
    {
        _store = new FakeKeyStore { AsOf = 1 };
        _changes = new RecentChanges();
        _directory = Directory();
        _held = new HeldKey();
        _store.Put(_held);
    }

    [Test]
    public async Task A_read_whose_snapshot_is_from_before_a_change_is_made_again()
    {
        var gate = _store.HoldAfterTheSnapshot();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        _store.AsOf = 2;
        Apply(2, _held.Id);
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(2));
        Assert.That(_store.Reads, Is.EqualTo(2));
        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(2));
    }

    [Test]
    public async Task A_read_that_a_change_overtakes_before_its_snapshot_is_kept()
    {
        var gate = _store.HoldBeforeTheSnapshot();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        _store.AsOf = 2;
        Apply(2, _held.Id);
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(2));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task A_read_that_sees_a_change_before_the_node_does_is_read_again_after_it()
    {
        _store.AsOf = 2;
        await _directory.FindAsync(_held.Id);
        Apply(2, _held.Id);

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(2));
        Assert.That(_store.Reads, Is.EqualTo(2), "dropped, though it was new enough");
    }

    [Test]
    public async Task A_change_of_another_key_leaves_a_running_read_alone()
    {
        var gate = _store.HoldAfterTheSnapshot();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        Apply(2, KeyId.Generate());
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(1));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task A_read_from_before_a_restart_of_the_ledger_is_made_again()
    {
        var gate = _store.HoldAfterTheSnapshot();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        _store.AsOf = 9;
        _changes.Restart(9, "");
        _directory.Clear();
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(9));
    }

    [Test]
    public async Task A_read_of_a_ledger_that_was_rolled_back_is_made_again_though_its_seq_is_higher()
    {
        _store.AsOf = 10;
        var gate = _store.HoldAfterTheSnapshot();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        _store.AsOf = 5;
        _changes.Restart(5, "");
        _directory.Clear();
        var joining = _directory.FindAsync(_held.Id).AsTask();
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(5));
        Assert.That((await joining).AsOf, Is.EqualTo(5));
        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(5));
    }

    [Test]
    public void A_key_that_changes_faster_than_it_can_be_read_is_refused_in_the_end()
    {
        _changes.Add(5, _held.Id);

        Assert.That(async () => await _directory.FindAsync(_held.Id), Throws.TypeOf<OverloadedException>());
        Assert.That(_store.Reads, Is.EqualTo(3));
        Assert.That(_directory.Figures.Entries, Is.Zero);
    }

    /// <summary>
    /// The moment between keeping an entry and trusting it once more cannot be held, so it is met by trying often.
    /// </summary>
    [Test]
    public async Task However_reads_and_changes_meet_no_entry_from_before_a_change_is_found_after_it()
    {
        using var stop = new CancellationTokenSource();
        var readers = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                _directory.Drop(_held.Id);
                try
                {
                    await _directory.FindAsync(_held.Id);
                }
                catch (OverloadedException)
                {
                    // Changed three times while it was read.
                }
            }
        });

        for (var seq = 2L; seq < 20_000; seq++)
        {
            _store.AsOf = seq;
            Apply(seq, _held.Id);
            Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(seq));
        }

        await stop.CancelAsync();
        await readers;
    }

    private KeyCache Directory(int size = 1_000, int coldReads = 16) =>
        new(_store, _changes, new KeyCacheOptions { CacheSize = size, ColdReads = coldReads });

    private void Apply(long seq, KeyId id)
    {
        _changes.Add(seq, id);
        _directory.Drop(id);
    }
}
