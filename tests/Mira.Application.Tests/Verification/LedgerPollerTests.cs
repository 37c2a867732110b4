using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public sealed class LedgerPollerTests : IDisposable
{
    private FakeLedgerReader _ledger = null!;
    private FakeKeyStore _store = null!;
    private RecentChanges _changes = null!;
    private KeyCache _directory = null!;
    private TwoClocks _clock = null!;
    private LedgerPoller _follower = null!;
    private HeldKey _held = null!;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedgerReader();
        _store = new FakeKeyStore();
        _changes = new RecentChanges();
        _directory = new KeyCache(_store, _changes, new KeyCacheOptions { CacheSize = 100 });
        _clock = new TwoClocks();
        _follower = Follower(new LedgerPollerOptions());
        _held = new HeldKey();
        _store.Put(_held);
    }

    [TearDown]
    public void Dispose() => _follower.Dispose();

    [Test]
    public async Task It_starts_where_the_ledger_stands()
    {
        _follower.Dispose();
        _follower = Follower(new LedgerPollerOptions { IsShared = true });
        var first = _ledger.Append(_held.Id);
        var last = _ledger.Append();
        Assert.That(_follower.IsReady, Is.False);
        Assert.That(_follower.Staleness, Is.Null);

        await _follower.StartAsync(CancellationToken.None);

        Assert.That(_follower.Seen, Is.EqualTo(last.Position));
        Assert.That(_follower.IsReady);
        Assert.That(_follower.Staleness, Is.EqualTo(TimeSpan.Zero));
        Assert.That(_changes.Trusts(_held.Id, 0), Is.False, "changed since, and that is known");
        Assert.That(_changes.Trusts(_held.Id, 1));
        Assert.That(_changes.Trusts(KeyId.Generate(), 0), "nothing happened to it in all the ledger");
        Assert.That(_changes.Epoch, Is.EqualTo(first.Hash[..16]));
    }

    [Test]
    public async Task It_reads_on_from_what_it_saw_and_drops_the_keys_that_changed()
    {
        var other = new HeldKey();
        _store.Put(other);
        _store.AsOf = _ledger.Append().Seq;
        await StartAndWarmAsync(_held, other);
        _ledger.Append();
        var last = _ledger.Append(_held.Id);
        _store.AsOf = last.Seq;

        await _follower.CatchUpAsync();

        Assert.That(_follower.Seen, Is.EqualTo(last.Position));
        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(last.Seq));
        Assert.That((await _directory.FindAsync(other.Id)).AsOf, Is.EqualTo(1), "still the warm one");
        Assert.That(_follower.IsBroken, Is.False);
    }

    // What one node commits before it has seen what another one committed is told twice: by itself, and by the ledger.
    [Test]
    public async Task Two_nodes_that_write_by_turns_run_past_the_bound_of_what_is_remembered()
    {
        const int Capacity = 4;
        var changes = new RecentChanges(Capacity);
        using var follower = new LedgerPoller(
            _ledger, changes, new KeyCache(_store, changes, new KeyCacheOptions { CacheSize = 100 }),
            new LedgerPollerOptions { IsShared = true, RememberedChanges = Capacity }, _clock);
        await follower.StartAsync(CancellationToken.None);

        for (var turn = 0; turn < 10 * Capacity; turn++)
        {
            _ledger.Append(KeyId.Generate());
            var id = KeyId.Generate();
            var own = _ledger.Append(id);
            Assert.That(follower.TryApply([own]), Is.False, "the other one's is not known yet");
            await follower.CatchUpAsync();
            Assert.That(follower.TryApply([own]), "known by now");
            Assert.That(follower.Seen, Is.EqualTo(own.Position));
            Assert.That(changes.Trusts(id, own.Seq - 1), Is.False);
        }
    }

    [Test]
    public async Task What_fails_in_a_way_nobody_foresaw_is_a_ledger_that_is_not_seen()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.Fault = new InvalidOperationException("a fault of the program");

        _clock.Pass(TimeSpan.FromSeconds(5));
        await _follower.RefreshAsync();
        Assert.That(_follower.IsReachable, Is.False);
        Assert.That(_follower.Failures, Is.EqualTo(1));

        _clock.Pass(new LedgerPollerOptions().MaxStaleness);
        await Assert.ThrowsAsync<StoreUnavailableException>(_follower.RefreshAsync);
    }

    [Test]
    public async Task It_reads_as_many_pages_as_there_are()
    {
        await _follower.StartAsync(CancellationToken.None);
        for (var i = 0; i < 2_500; i++)
            _ledger.Append();

        await _follower.CatchUpAsync();

        Assert.That(_follower.Seen.Seq, Is.EqualTo(2_500));
        Assert.That(_follower.IsBroken, Is.False);
    }

    [Test]
    public async Task What_the_node_committed_itself_is_known_at_once()
    {
        await StartAndWarmAsync(_held);
        LedgerEvent[] committed = [_ledger.Append(_held.Id), _ledger.Append()];
        _store.AsOf = 2;

        Assert.That(_follower.TryApply(committed));

        Assert.That(_follower.Seen, Is.EqualTo(committed[1].Position));
        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(2));
        Assert.That(_ledger.Reads, Is.Zero);
    }

    [Test]
    public async Task Its_own_events_are_not_taken_before_those_of_others()
    {
        await StartAndWarmAsync(_held);
        _ledger.Append();
        var own = _ledger.Append(_held.Id);

        Assert.That(_follower.TryApply([own]), Is.False);

        Assert.That(_follower.Seen, Is.EqualTo(LedgerPosition.Start));
        await _follower.CatchUpAsync();
        Assert.That(_follower.Seen, Is.EqualTo(own.Position));
        Assert.That(_follower.IsBroken, Is.False);
    }

    [Test]
    public async Task Events_that_were_seen_already_change_nothing()
    {
        await _follower.StartAsync(CancellationToken.None);
        LedgerEvent[] events = [_ledger.Append(), _ledger.Append(_held.Id)];
        await _follower.CatchUpAsync();
        _store.AsOf = 2;
        await _directory.FindAsync(_held.Id);

        Assert.That(_follower.TryApply(events));
        Assert.That(_follower.TryApply([]));

        Assert.That(_follower.Seen, Is.EqualTo(events[1].Position));
        Assert.That(_directory.Figures.Entries, Is.EqualTo(1));
        Assert.That(_follower.IsBroken, Is.False);
    }

    [Test]
    public async Task An_event_that_does_not_follow_empties_the_cache_and_is_told()
    {
        await StartAndWarmAsync(_held);
        var foreign = FakeLedgerReader.Next(new LedgerPosition(0, new string('f', 64)), null);

        Assert.That(_follower.TryApply([foreign]));

        Assert.That(_follower.IsBroken);
        Assert.That(_directory.Figures.Entries, Is.Zero);
        Assert.That(_follower.Seen, Is.EqualTo(foreign.Position), "goes on from there");
        Assert.That(_changes.Trusts(_held.Id, 0), Is.False, "nothing from before is trusted");
        Assert.That(_changes.Trusts(_held.Id, 1));
    }

    [Test]
    public async Task An_event_that_was_edited_is_noticed()
    {
        await _follower.StartAsync(CancellationToken.None);
        var honest = FakeLedgerReader.Next(LedgerPosition.Start, _held.Id.Value);

        _follower.TryApply([honest with { Subject = KeyId.Generate().Value }]);

        Assert.That(_follower.IsBroken);
    }

    [Test]
    public async Task A_broken_ledger_stays_reported_when_it_goes_on_well()
    {
        await _follower.StartAsync(CancellationToken.None);
        _follower.ReportBroken();
        _ledger.Append();

        await _follower.CatchUpAsync();

        Assert.That(_follower.IsBroken);
    }

    [TestCase(2)]
    [TestCase(0)]
    public async Task A_ledger_that_is_behind_what_was_seen_empties_the_cache_and_is_told(int restoredTo)
    {
        for (var i = 0; i < 5; i++)
            _ledger.Append();
        _store.AsOf = 5;
        await StartAndWarmAsync(_held);

        _ledger.RollBackTo(restoredTo);
        await _follower.CatchUpAsync();

        Assert.That(_follower.IsBroken);
        Assert.That(_directory.Figures.Entries, Is.Zero);
        Assert.That(_follower.Seen.Seq, Is.EqualTo(restoredTo));
        Assert.That(_changes.Trusts(_held.Id, restoredTo));
        Assert.That(_changes.Trusts(_held.Id, restoredTo - 1), Is.False);
        Assert.That(_follower.IsReady, "it is that ledger that counts now");
    }

    [Test]
    public async Task Another_event_at_a_seq_that_was_seen_empties_the_cache_and_is_told()
    {
        _ledger.Append();
        _ledger.Append();
        _store.AsOf = 2;
        await StartAndWarmAsync(_held);

        _ledger.RollBackTo(1);
        _ledger.Append(_held.Id);
        var last = _ledger.Append();
        await _follower.CatchUpAsync();

        Assert.That(_follower.IsBroken);
        Assert.That(_directory.Figures.Entries, Is.Zero);
        Assert.That(_follower.Seen, Is.EqualTo(last.Position));
    }

    /// <summary>
    /// A read that runs while the cache is emptied may keep what it read a moment after, unless nothing from before is
    /// trusted by then. The moment cannot be held, so it is met by trying often.
    /// </summary>
    [Test]
    public async Task However_a_read_and_a_broken_ledger_meet_nothing_from_before_stays()
    {
        await _follower.StartAsync(CancellationToken.None);
        using var stop = new CancellationTokenSource();
        var reader = Task.Run(async () =>
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
                    // Broken three times while it was read.
                }
            }
        });

        for (var seq = 1L; seq <= 20_000; seq++)
        {
            var foreign = FakeLedgerReader.Next(new LedgerPosition(seq - 1, new string('f', 64)), null);
            _store.AsOf = seq;
            _follower.TryApply([foreign]);
            Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(seq));
        }

        await stop.CancelAsync();
        await reader;
    }

    private LedgerPoller Follower(LedgerPollerOptions options) => new(_ledger, _changes, _directory, options, _clock);

    private async Task StartAndWarmAsync(params HeldKey[] keys)
    {
        await _follower.StartAsync(CancellationToken.None);
        foreach (var held in keys)
            await _directory.FindAsync(held.Id);
    }
}
