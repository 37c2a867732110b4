using Microsoft.Extensions.Logging;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
internal sealed class LedgerRetentionTests(StoreKind kind)
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private Store _store = null!;
    private Messages<LedgerRetention> _log = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _log = new Messages<LedgerRetention>();
        for (var i = 0; i < 30; i++)
        {
            await _store.AddAsync(new HeldKey());
            _store.Clock.Advance(Day);
        }
    }

    [TearDown]
    public void TearDown() => _store.Dispose();

    [Test]
    public async Task What_is_older_goes_and_the_rest_is_still_proved_under_the_name_it_had()
    {
        var before = await _store.Reader.GetOutlineAsync(100, CancellationToken.None);
        await PruneAsync(new RetentionOptions(10) { Kept = 5, Batch = 7 });

        var events = await _store.EventsAsync();
        Assert.That(events[0].Seq, Is.EqualTo(21));
        Assert.That(events.Where(entry => entry.Type == EventType.AuditPruned).Select(entry => entry.Body), Has.Exactly(3).Contains("first_seq"));
        var after = await _store.Reader.GetOutlineAsync(100, CancellationToken.None);
        Assert.That(after.Epoch, Is.EqualTo(before.Epoch));
        var cut = (await _store.Archive.FindCutAsync(CancellationToken.None))!;
        Assert.That((cut.Seq, cut.Hash), Is.EqualTo((20L, events[0].PreviousHash)));
        Assert.That(await CheckAsync(), Is.Null);
        Assert.That((await _store.ReadAsync(new HeldKey().Id)) is null && await _store.AskAsync("SELECT count(*) FROM keys") == 30, "keys are no events");
    }

    [Test]
    public async Task The_last_ones_stay_however_old_they_are()
    {
        await PruneAsync(new RetentionOptions(1) { Kept = 25, Batch = 100 });
        Assert.That((await _store.EventsAsync())[0].Seq, Is.EqualTo(6));
        Assert.That(await CheckAsync(), Is.Null);
    }

    [Test]
    public async Task Nothing_goes_unless_it_is_asked_for_or_while_there_is_nothing_old()
    {
        await PruneAsync(new RetentionOptions(null) { Kept = 0 });
        await PruneAsync(new RetentionOptions(31) { Kept = 0 });
        Assert.That(await _store.EventsAsync(), Has.Count.EqualTo(30));
    }

    [Test]
    public async Task What_does_not_hold_together_is_kept()
    {
        await _store.AskAsync("UPDATE ledger SET body = replace(body, 'success', 'failure') WHERE seq = 12");
        await PruneAsync(new RetentionOptions(1) { Kept = 0, Batch = 8 });

        Assert.That((await _store.EventsAsync())[0].Seq, Is.EqualTo(9), "a batch that was whole had gone");
        Assert.That(_store.Follower.IsBroken);
        Assert.That(_log.Lines.Single(), Is.EqualTo((LogLevel.Critical, "Nothing is pruned: the ledger's chain is broken at 12")));
    }

    [Test]
    public async Task A_begin_that_somebody_else_made_is_built_on_by_nobody()
    {
        await PruneAsync(new RetentionOptions(20) { Kept = 0, Batch = 8 });
        await _store.AskAsync("UPDATE ledger_begin SET seq = 12, hash = (SELECT hash FROM ledger WHERE seq = 12); DELETE FROM ledger WHERE seq <= 12");
        await PruneAsync(new RetentionOptions(10) { Kept = 0, Batch = 8 });

        Assert.That((await _store.EventsAsync())[0].Seq, Is.EqualTo(13));
        Assert.That(_log.Lines.Single(), Is.EqualTo((LogLevel.Critical, "Nothing is pruned: the ledger's chain is broken at 13")));
        Assert.That((await CheckAsync())!.Seq, Is.EqualTo(13));
    }

    [TestCase(false, 100, 1)]
    [TestCase(false, 30, 1)]
    [TestCase(false, 10, 1)]
    [TestCase(true, 100, 33)]
    [TestCase(true, 30, 33)]
    public async Task What_lies_before_an_end_that_nobody_signed_is_kept_unless_a_checkpoint_vouches_for_it(bool isVouched, int batch, int first)
    {
        if (isVouched)
            await _store.Archive.KeepAsync((await _store.Archive.ReadHeadAsync(CancellationToken.None)).Statement!, Store.AuditKey.Public, CancellationToken.None);
        await _store.AskAsync("UPDATE ledger_head SET signature = NULL");
        using (var other = new OtherNode(_store))
            await other.AddAsync(new HeldKey());
        _store.Clock.Advance(2 * Day);
        await _store.AddAsync(new HeldKey());
        Assert.That(_store.Follower.IsBroken, "every node hears of it");

        // One that was started since, and has not looked at all of it yet.
        using var started = new OtherNode(_store);
        await PruneAsync(new RetentionOptions(1) { Kept = 0, Batch = batch }, started.Follower);
        Assert.That((await _store.EventsAsync())[0].Seq, Is.EqualTo(first));
        Assert.That(started.IsBroken, Is.EqualTo(!isVouched));
        Assert.That((await CheckAsync())?.Seq, Is.EqualTo(isVouched ? null : (long?)1));
    }

    [Test]
    public async Task A_replaced_ledger_keeps_its_name_when_the_event_that_gave_it_is_pruned()
    {
        await _store.ChangeAsync(change =>
        {
            change.Record(new KeyEvent(EventType.IntegrityViolation, Application.Ledger.LedgerEpoch.Reason, []));
            return Task.CompletedTask;
        });
        var name = (await _store.Reader.GetOutlineAsync(1, CancellationToken.None)).Epoch;
        for (var i = 0; i < 4; i++)
        {
            _store.Clock.Advance(Day);
            await _store.AddAsync(new HeldKey());
        }

        await PruneAsync(new RetentionOptions(1) { Kept = 0, Batch = 100 });
        Assert.That((await _store.EventsAsync())[0].Seq, Is.GreaterThan(31));
        Assert.That((await _store.Reader.GetOutlineAsync(1, CancellationToken.None)).Epoch, Is.EqualTo(name));
    }

    private async Task PruneAsync(RetentionOptions options, LedgerPoller? follower = null)
    {
        using var retention = new LedgerRetention(options, follower ?? _store.Follower, _store.Scopes, _store.Clock, _log);
        await retention.PruneAsync(CancellationToken.None);
    }

    private Task<ChainFault?> CheckAsync() =>
        LedgerVerification.CheckAsync(_store.Reader, _store.Archive, () => new ChainProof([Store.AuditKey.Public]), CancellationToken.None);
}
