using Microsoft.Extensions.Time.Testing;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public sealed class SharedKeysTests : IDisposable
{
    private FakeLedgerReader _ledger = null!;
    private FakeKeyStore _store = null!;
    private FakeSharedCache _cache = null!;
    private RecentChanges _changes = null!;
    private AggregatedEvents _gathered = null!;
    private KeyCache _directory = null!;
    private LedgerPoller _follower = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _ledger = new FakeLedgerReader();
        for (var i = 0; i < 5; i++)
            _ledger.Append();
        _store = new FakeKeyStore { AsOf = 5 };
        _cache = new FakeSharedCache();
        _changes = new RecentChanges();
        _gathered = new AggregatedEvents(new FakeTimeProvider(HeldKey.Start));
        _directory = Directory(HeldKey.Peppers);
        _follower = new LedgerPoller(_ledger, _changes, _directory, new LedgerPollerOptions(), new TwoClocks());
        await _follower.StartAsync(CancellationToken.None);
        _held = new HeldKey();
        _store.Put(_held);
    }

    [TearDown]
    public void Dispose() => _follower.Dispose();

    [Test]
    public async Task What_another_node_kept_needs_no_read_of_the_store()
    {
        Share(_held.At(5, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).Key, Is.SameAs(_held.Key));
        Assert.That(_store.Reads, Is.Zero);
        Assert.That(_cache.Offers, Is.Empty, "it is there");
    }

    [Test]
    public async Task A_warm_entry_is_found_without_the_shared_cache()
    {
        await _directory.FindAsync(_held.Id);
        var looks = _cache.Looks;

        await _directory.FindAsync(_held.Id);
        Assert.That(_cache.Looks, Is.EqualTo(looks));
    }

    [Test]
    public async Task What_the_store_said_is_given_to_the_others()
    {
        var entry = await _directory.FindAsync(_held.Id);

        Assert.That(_cache.Offers.Single(), Is.EqualTo((entry, _changes.Epoch)));
    }

    [Test]
    public async Task Ids_that_do_not_exist_are_not_given()
    {
        await _directory.FindAsync(KeyId.Generate());

        Assert.That(_cache.Offers, Is.Empty);
    }

    [Test]
    public async Task A_cache_that_is_away_is_not_asked_and_not_given_anything()
    {
        _cache.IsAvailable = false;
        Share(_held.At(5, _ledger));
        await _directory.FindAsync(_held.Id);

        Assert.That((_cache.Looks, _store.Reads, _cache.Offers.Count), Is.EqualTo((0, 1, 0)));
    }

    [Test]
    public async Task An_entry_from_before_a_change_of_its_key_is_refused_and_replaced()
    {
        Share(_held.At(5, _ledger));
        Change(_held.Id);

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(6));
        Assert.That(_cache.Offers.Single().Entry.AsOf, Is.EqualTo(6));
    }

    [Test]
    public async Task A_change_that_comes_while_the_cache_is_asked_is_seen()
    {
        Share(_held.At(5, _ledger));
        var gate = _cache.Hold();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        Change(_held.Id);
        gate.Open();

        Assert.That((await finding).AsOf, Is.EqualTo(6));
    }

    [Test]
    public async Task An_entry_from_before_what_the_node_remembers_is_refused()
    {
        _changes.Restart(5, _changes.Epoch);
        Share(_held.At(4, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(5));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task An_entry_from_further_on_is_taken_after_the_ledger_was_read_so_far()
    {
        _ledger.Append();
        Share(_held.At(6, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(6));
        Assert.That((_store.Reads, _follower.Seen.Seq), Is.EqualTo((0, 6L)));
    }

    [Test]
    public async Task An_entry_from_further_on_whose_key_changed_after_it_is_refused()
    {
        _ledger.Append();
        _ledger.Append(_held.Id);
        _store.AsOf = 7;
        Share(_held.At(6, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(7));
    }

    [Test]
    public async Task An_entry_from_where_the_ledger_has_not_come_is_refused()
    {
        Share(_held.At(6, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(5));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task An_entry_of_a_future_that_was_lost_is_refused_when_the_ledger_has_grown_past_it()
    {
        var lost = _held.At(5, _ledger);
        _ledger.RollBackTo(4);
        _ledger.Edit(4, entry => LedgerEvent.Append(new LedgerPosition(3, entry.PreviousHash), entry.At, new PendingEvent(EventType.AuditRead, Actor.System, null, null)));
        _ledger.Append();
        _ledger.Append();
        using var started = new LedgerPoller(_ledger, _changes, _directory, new LedgerPollerOptions(), new TwoClocks());
        await started.StartAsync(CancellationToken.None);
        _store.AsOf = 6;
        Share(lost);

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(6), "read from the store");
    }

    [Test]
    public async Task A_doubted_key_is_not_given_to_the_others()
    {
        _held.Key.Doubt();
        await _directory.FindAsync(_held.Id);

        Assert.That(_cache.Offers, Is.Empty);
    }

    [Test]
    public async Task An_entry_from_further_on_is_refused_while_the_ledger_cannot_be_read()
    {
        _ledger.IsDown = true;
        Share(_held.At(6, _ledger));

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(5));
    }

    [Test]
    public async Task An_entry_kept_under_another_epoch_is_not_found()
    {
        _cache.Put(_held.At(5, _ledger), "another");
        await _directory.FindAsync(_held.Id);

        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task A_cache_that_is_emptied_while_the_shared_one_is_asked_takes_nothing_from_before()
    {
        Share(_held.At(5, _ledger));
        var gate = _cache.Hold();
        var finding = _directory.FindAsync(_held.Id).AsTask();
        await gate.Reached;
        _changes.Restart(3, "new");
        _directory.Clear();
        gate.Open();
        await finding;

        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task A_key_whose_digest_is_yet_to_be_renewed_is_neither_taken_nor_given()
    {
        var renewing = Directory(new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1)));
        Share(_held.At(5, _ledger));

        Assert.That((await renewing.FindAsync(_held.Id)).Key, Is.SameAs(_held.Key));
        Assert.That((_store.Reads, _cache.Offers.Count), Is.EqualTo((1, 0)));
        Assert.That(_gathered.Take(), Is.Empty);
    }

    [Test]
    public async Task A_forged_entry_is_refused_replaced_and_told_of_once_with_a_count()
    {
        _cache.Entries[(_held.Id, _changes.Epoch)] = new SharedEntry(null, IsForged: true);
        await _directory.FindAsync(_held.Id);
        _directory.Drop(_held.Id);
        await _directory.FindAsync(_held.Id);

        var told = _gathered.Take().Single();
        Assert.That((told.Group.Type, told.Group.Reason, told.Group.Subject, told.Count), Is.EqualTo((EventType.IntegrityViolation, SharedKeys.Forged, _held.Id.Value, 2L)));
        Assert.That(_cache.Offers, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_forged_entry_of_a_key_that_does_not_exist_names_nobody()
    {
        var id = KeyId.Generate();
        _cache.Entries[(id, _changes.Epoch)] = new SharedEntry(null, IsForged: true);
        await _directory.FindAsync(id);

        Assert.That(_gathered.Take().Single().Group.Subject, Is.Null);
    }

    [Test]
    public async Task While_the_shared_cache_stands_still_half_of_the_reads_go_on_without_it()
    {
        var gates = new List<(Gate Gate, Task Finding)>();
        for (var i = 0; i < 9; i++)
        {
            var gate = _cache.Hold();
            var finding = _directory.FindAsync(KeyId.Generate()).AsTask();
            await gate.Reached;
            gates.Add((gate, finding));
        }

        await _directory.FindAsync(_held.Id);
        Assert.That((_cache.Looks, _store.Reads), Is.EqualTo((9, 1)));

        foreach (var (gate, finding) in gates)
        {
            gate.Open();
            await finding;
        }
    }

    [Test]
    public async Task Look_ups_are_counted_by_where_they_were_answered()
    {
        Share(_held.At(5, _ledger));
        await _directory.FindAsync(_held.Id);
        await _directory.FindAsync(KeyId.Generate());
        await _directory.FindAsync(_held.Id);
        _cache.IsAvailable = false;
        await _directory.FindAsync(KeyId.Generate());

        Assert.That(_directory.Shared, Is.EqualTo(new SharedCacheMetrics(true, false, 1, 1)));
        Assert.That(_directory.Shared.HitRate, Is.EqualTo(0.5));
        Assert.That(_directory.HitRate, Is.EqualTo(0.5), "one by memory, one by the shared cache, of four");
    }

    private KeyCache Directory(PepperRing peppers) => new(
        _store, _changes, new KeyCacheOptions { CacheSize = 100 },
        new SharedKeys(_cache, _changes, new Lazy<LedgerPoller>(() => _follower), new LedgerHashes(_ledger, _changes), peppers, _gathered));

    private void Share(KeyEntry entry) => _cache.Put(entry, _changes.Epoch);

    private void Change(KeyId id)
    {
        var changed = _ledger.Append(id);
        _store.AsOf = changed.Seq;
        _follower.TryApply([changed]);
    }
}
