using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
[TestFixture(StoreKind.Airtable)]
public sealed class SqlLedgerReaderTests(StoreKind kind) : IDisposable
{
    private static readonly EventFilter All = new(null, null, null, null, null, null, 100);

    private Store _store = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _held = new HeldKey();
        await _store.AddAsync(_held);
        for (var i = 2; i <= 5; i++)
        {
            _store.Clock.Advance(TimeSpan.FromSeconds(1));
            await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = $"{i}" }, 1, HeldKey.Start));
        }

        await _store.AddAsync(new HeldKey());
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task Events_are_read_on_from_a_seq_oldest_first()
    {
        var page = await _store.Reader.ReadFromAsync(3, 2, CancellationToken.None);

        Assert.That(page.Select(entry => entry.Seq), Is.EqualTo(new[] { 3, 4 }));
    }

    [Test]
    public async Task Events_are_found_newest_first_and_before_a_seq()
    {
        Assert.That(await FindAsync(All), Is.EqualTo(new[] { 6, 5, 4, 3, 2, 1 }));
        Assert.That(await FindAsync(All with { Before = 4, Limit = 2 }), Is.EqualTo(new[] { 3, 2 }));
    }

    [Test]
    public async Task Events_are_found_by_type_subject_and_actor()
    {
        Assert.That(await FindAsync(All with { Type = "key.created" }), Is.EqualTo(new[] { 6, 1 }));
        Assert.That(await FindAsync(All with { Subject = _held.Id.Value }), Is.EqualTo(new[] { 5, 4, 3, 2, 1 }));
        Assert.That(await FindAsync(All with { Subject = _held.Id.Value, Type = "key.created" }), Is.EqualTo(new[] { 1 }));
        Assert.That(await FindAsync(All with { ActorKeyId = "mira_key_000000000001" }), Is.Empty);
    }

    [Test]
    public async Task From_is_inclusive_and_to_is_not()
    {
        Assert.That(await FindAsync(All with { From = HeldKey.Start.AddSeconds(1), To = HeldKey.Start.AddSeconds(3) }), Is.EqualTo(new[] { 3, 2 }));
    }

    [Test]
    public async Task A_time_between_two_milliseconds_means_what_it_says()
    {
        var justAfter = HeldKey.Start.AddSeconds(1).AddTicks(1);

        Assert.That(await FindAsync(All with { From = justAfter }), Is.EqualTo(new[] { 6, 5, 4, 3 }));
        Assert.That(await FindAsync(All with { To = justAfter }), Is.EqualTo(new[] { 2, 1 }));
    }

    [Test]
    public async Task An_outline_tells_what_the_last_events_changed_and_nothing_before()
    {
        var all = await _store.Reader.GetOutlineAsync(100, CancellationToken.None);
        var last = await _store.Reader.GetOutlineAsync(2, CancellationToken.None);

        Assert.That((all.Head, all.Floor), Is.EqualTo((await _store.HeadAsync(), 0L)));
        Assert.That(all.Changes.Select(change => change.Seq), Is.EqualTo(new[] { 1, 2, 3, 4, 5, 6 }));
        Assert.That(all.Changes[4], Is.EqualTo((5L, _held.Id)));
        Assert.That(last.Floor, Is.EqualTo(4));
        Assert.That(last.Changes, Is.EqualTo(all.Changes.Skip(4)));
        Assert.That(all.Epoch, Is.EqualTo((await _store.EventsAsync())[0].Hash[..16]), "the ledger's own, until it is replaced");
    }

    [Test]
    public async Task An_outline_names_changes_of_keys_only()
    {
        await _store.ChangeAsync(change =>
        {
            change.Record(new KeyEvent("system.started", null, []));
            return Task.CompletedTask;
        });

        Assert.That((await _store.Reader.GetOutlineAsync(1, CancellationToken.None)).Changes, Is.Empty);
    }

    [Test]
    public async Task An_empty_ledger_has_no_epoch_yet()
    {
        using var empty = await Store.OpenAsync(kind);

        Assert.That(await empty.Reader.GetOutlineAsync(100, CancellationToken.None), Has.Property("Epoch").Empty.And.Property("Floor").Zero);
        Assert.That(empty.Changes.Epoch, Is.Empty);
        await empty.AddAsync(new HeldKey());
        Assert.That(empty.Changes.Epoch, Is.EqualTo((await empty.EventsAsync())[0].Hash[..16]));
    }

    private async Task<IEnumerable<long>> FindAsync(EventFilter filter) =>
        (await _store.Reader.FindAsync(filter, CancellationToken.None)).Select(entry => entry.Seq);
}
