using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public class KeyCacheTests
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
    public async Task A_key_is_read_once_and_then_found_in_memory()
    {
        var first = await _directory.FindAsync(_held.Id);
        var second = _directory.FindAsync(_held.Id);

        Assert.That(second.IsCompletedSuccessfully);
        Assert.That(await second, Is.SameAs(first));
        Assert.That(first.Key, Is.SameAs(_held.Key));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task That_there_is_no_key_is_remembered_too()
    {
        var unknown = KeyId.Generate();

        Assert.That((await _directory.FindAsync(unknown)).Key, Is.Null);
        Assert.That((await _directory.FindAsync(unknown)).Key, Is.Null);
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task An_id_that_becomes_a_key_is_found_after_its_event()
    {
        var made = new HeldKey();
        await _directory.FindAsync(made.Id);

        _store.Put(made);
        _store.AsOf = 2;
        Apply(2, made.Id);

        Assert.That((await _directory.FindAsync(made.Id)).Key, Is.SameAs(made.Key));
    }

    [Test]
    public async Task All_who_wait_for_one_id_share_one_read()
    {
        var gate = _store.HoldBeforeTheSnapshot();
        var waiting = Enumerable.Range(0, 50).Select(_ => _directory.FindAsync(_held.Id).AsTask()).ToArray();
        await gate.Reached;
        gate.Open();

        var entries = await Task.WhenAll(waiting);

        Assert.That(entries, Is.All.SameAs(entries[0]));
        Assert.That(_store.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task More_reads_at_once_than_allowed_take_turns()
    {
        _directory = Directory(coldReads: 1, patience: Timeout.InfiniteTimeSpan);
        var (one, two) = (new HeldKey(), new HeldKey());
        _store.Put(one, two);
        var gate = _store.HoldBeforeTheSnapshot();
        var first = _directory.FindAsync(one.Id).AsTask();
        await gate.Reached;
        var second = _directory.FindAsync(two.Id).AsTask();
        Assert.That(second.IsCompleted, Is.False);

        gate.Open();

        Assert.That((await first).Id, Is.EqualTo(one.Id));
        Assert.That((await second).Id, Is.EqualTo(two.Id));
    }

    [Test]
    public async Task A_read_that_gets_no_turn_in_time_is_refused_and_the_others_go_on()
    {
        _directory = Directory(coldReads: 2);
        var (one, two, three) = (new HeldKey(), new HeldKey(), new HeldKey());
        _store.Put(one, two, three);
        var firstGate = _store.HoldBeforeTheSnapshot();
        var first = _directory.FindAsync(one.Id).AsTask();
        await firstGate.Reached;
        var secondGate = _store.HoldBeforeTheSnapshot();
        var second = _directory.FindAsync(two.Id).AsTask();
        await secondGate.Reached;

        Assert.That(async () => await _directory.FindAsync(three.Id), Throws.TypeOf<OverloadedException>());
        var shared = _directory.FindAsync(two.Id).AsTask();
        firstGate.Open();
        secondGate.Open();

        Assert.That((await first).Key, Is.SameAs(one.Key));
        Assert.That((await second).Key, Is.SameAs(two.Key));
        Assert.That(await shared, Is.SameAs(await second), "who waits for a read that runs needs no other");
        Assert.That((await _directory.FindAsync(three.Id)).Key, Is.SameAs(three.Key), "there is room again");
    }

    [Test]
    public async Task More_keys_and_guesses_than_the_cache_holds_take_no_more_room()
    {
        const int size = 100;
        _directory = Directory(size, coldReads: 4, patience: Timeout.InfiniteTimeSpan);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 500; i++)
            {
                var held = new HeldKey();
                _store.Put(held);
                Assert.That((await _directory.FindAsync(held.Id)).Key, Is.SameAs(held.Key));
                Assert.That((await _directory.FindAsync(KeyId.Generate())).Key, Is.Null);
            }
        })));

        // As many keys, and as many ids that do not exist.
        Assert.That(_directory.Figures.Entries, Is.LessThanOrEqualTo((2 * size) + 16));
        Assert.That((await _directory.FindAsync(_held.Id)).Key, Is.SameAs(_held.Key));
    }

    [Test]
    public async Task More_reads_than_have_turns_are_refused_and_no_turn_is_lost()
    {
        _directory = Directory(coldReads: 2, patience: TimeSpan.FromMilliseconds(1));
        for (var round = 0; round < 20; round++)
        {
            var gate = _store.HoldBeforeTheSnapshot();
            var first = _directory.FindAsync(KeyId.Generate()).AsTask();
            await gate.Reached;
            _store.IsDown = round % 2 == 0;
            await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
            {
                try
                {
                    await _directory.FindAsync(KeyId.Generate());
                }
                catch (Exception exception) when (exception is OverloadedException or StoreUnavailableException)
                {
                    // Refused, as it should be, or failed; both give their turn back.
                }
            }));
            gate.Open();
            Assert.That(async () => await first, _store.IsDown ? Throws.TypeOf<StoreUnavailableException>() : Throws.Nothing);
        }

        _store.IsDown = false;
        var held = _store.HoldBeforeTheSnapshot();
        var one = _directory.FindAsync(KeyId.Generate()).AsTask();
        await held.Reached;
        Assert.That((await _directory.FindAsync(_held.Id)).Key, Is.SameAs(_held.Key), "the second turn is there");
        held.Open();
        await one;
    }

    [Test]
    public async Task A_read_that_fails_fails_for_all_who_wait_and_leaves_room_for_the_next()
    {
        _directory = Directory(coldReads: 1);
        _store.IsDown = true;
        var gate = _store.HoldBeforeTheSnapshot();
        Task[] waiting = [_directory.FindAsync(_held.Id).AsTask(), _directory.FindAsync(_held.Id).AsTask()];
        await gate.Reached;
        gate.Open();
        foreach (var one in waiting)
            Assert.That(async () => await one, Throws.TypeOf<StoreUnavailableException>());

        for (var i = 0; i < 3; i++)
            Assert.That(async () => await _directory.FindAsync(_held.Id), Throws.TypeOf<StoreUnavailableException>());
        _store.IsDown = false;
        Assert.That((await _directory.FindAsync(_held.Id)).Key, Is.SameAs(_held.Key));
    }

    [Test]
    public async Task Guessing_ids_pushes_no_key_out()
    {
        _directory = Directory(size: 100);
        var keys = Enumerable.Range(0, 50).Select(_ => new HeldKey()).ToArray();
        _store.Put(keys);
        foreach (var held in keys)
            await _directory.FindAsync(held.Id);

        for (var i = 0; i < 2_000; i++)
            await _directory.FindAsync(KeyId.Generate());

        var reads = _store.Reads;
        foreach (var held in keys)
            await _directory.FindAsync(held.Id);
        Assert.That(_store.Reads, Is.EqualTo(reads));
    }

    [Test]
    public async Task Neither_keys_nor_unknown_ids_take_more_room_than_they_are_given()
    {
        _directory = Directory(size: 100);
        for (var i = 0; i < 500; i++)
        {
            await _directory.FindAsync(KeyId.Generate());
            var held = new HeldKey();
            _store.Put(held);
            await _directory.FindAsync(held.Id);
        }

        Assert.That(_directory.Figures.Entries, Is.LessThanOrEqualTo(210));
    }

    [Test]
    public async Task A_change_drops_the_entry_of_its_key_alone()
    {
        var other = new HeldKey();
        _store.Put(other);
        await _directory.FindAsync(_held.Id);
        await _directory.FindAsync(other.Id);

        _store.AsOf = 2;
        Apply(2, _held.Id);

        Assert.That((await _directory.FindAsync(_held.Id)).AsOf, Is.EqualTo(2));
        Assert.That((await _directory.FindAsync(other.Id)).AsOf, Is.EqualTo(1));
    }

    [Test]
    public async Task Clearing_drops_keys_and_unknown_ids()
    {
        await _directory.FindAsync(_held.Id);
        await _directory.FindAsync(KeyId.Generate());
        _directory.Clear();

        Assert.That(_directory.Figures.Entries, Is.Zero);
    }

    [Test]
    public async Task Look_ups_are_counted_by_where_they_were_answered()
    {
        Assert.That(_directory.Figures, Is.EqualTo(new CacheMetrics(0, 0, 0)));
        Assert.That(_directory.Figures.HitRate, Is.Zero);

        await _directory.FindAsync(_held.Id);
        await _directory.FindAsync(KeyId.Generate());
        for (var i = 0; i < 6; i++)
            await _directory.FindAsync(_held.Id);

        Assert.That(_directory.Figures, Is.EqualTo(new CacheMetrics(2, 6, 2)));
        Assert.That(_directory.Figures.HitRate, Is.EqualTo(0.75));
    }

    [Test]
    public void What_is_kept_for_a_secret_is_made_once()
    {
        var entry = _held.At(1);
        _held.Rotate(60, HeldKey.Start);

        var use = entry.UseOf(_held.Key.Secrets[0]);

        Assert.That(entry.UseOf(_held.Key.Secrets[0]), Is.SameAs(use));
        Assert.That(entry.UseOf(_held.Key.Secrets[1]), Is.Not.SameAs(use));
        Assert.That(use.KeyId, Is.EqualTo(_held.Id));
    }

    private KeyCache Directory(int size = 1_000, int coldReads = 16, TimeSpan? patience = null) =>
        new(_store, _changes, new KeyCacheOptions { CacheSize = size, ColdReads = coldReads, ColdPatience = patience ?? TimeSpan.Zero });

    private void Apply(long seq, KeyId id)
    {
        _changes.Add(seq, id);
        _directory.Drop(id);
    }
}
