using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
internal sealed class HeadSignerTests(StoreKind kind)
{
    private const int MostAtOnce = 250;

    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.OpenAsync(kind);

    [TearDown]
    public void TearDown() => _store.Dispose();

    [Test]
    public async Task Each_commit_signs_the_new_end()
    {
        await _store.AddAsync(new HeldKey());
        var first = await _store.Archive.ReadHeadAsync(CancellationToken.None);
        await _store.AddAsync(new HeldKey());
        var second = await _store.Archive.ReadHeadAsync(CancellationToken.None);

        Assert.That((first.Position.Seq, second.Position.Seq), Is.EqualTo((1L, 2L)));
        Assert.That(Store.AuditKey.Public.Verifies(first.Statement!) && Store.AuditKey.Public.Verifies(second.Statement!));
        Assert.That(second.Statement!.Position, Is.EqualTo(await _store.HeadAsync()));
        Assert.That(second.SignedBy, Is.EqualTo(Store.AuditKey.Public.Text));
    }

    [Test]
    public async Task A_change_that_fails_signs_nothing()
    {
        await _store.AddAsync(new HeldKey());
        var before = await _store.DumpAsync();
        Assert.That(
            () => _store.ChangeAsync(change =>
            {
                change.Add(new HeldKey().Key);
                throw new InvalidOperationException();
            }),
            Throws.InvalidOperationException);
        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task At_every_thousandth_event_a_checkpoint_is_kept()
    {
        await AppendAsync(_store.Ledger, 999);
        Assert.That(await _store.Archive.FindNewestAsync(CancellationToken.None), Is.Null);
        await AppendAsync(_store.Ledger, 5);
        Assert.That((await _store.Archive.FindNewestAsync(CancellationToken.None))!.Position, Is.EqualTo(await _store.HeadAsync()));
        await AppendAsync(_store.Ledger, 995);
        Assert.That((await _store.Archive.FindNewestAsync(CancellationToken.None))!.Seq, Is.EqualTo(1_004));
        Assert.That(await CheckAsync(), Is.Null);
    }

    [TestCase("UPDATE ledger_head SET signature = NULL", "unsigned")]
    [TestCase("UPDATE ledger_head SET signed_at = signed_at + 1", "wrong_signature")]
    [TestCase("UPDATE ledger_head SET signed_by = 'x'", "unknown_key")]
    public async Task An_end_that_somebody_else_made_is_recorded_before_anything_follows_it(string edit, string finding)
    {
        await _store.AddAsync(new HeldKey());
        await _store.AskAsync(edit);
        using var other = new OtherNode(_store);
        await other.AddAsync(new HeldKey());

        var found = (await _store.EventsAsync()).Single(entry => entry.Type == EventType.IntegrityViolation);
        Assert.That(found.Seq, Is.EqualTo(2));
        Assert.That(found.Body, Does.Contain("\"reason\":\"head_signature\"").And.Contain($"\"to\":\"{finding}\""));
        Assert.That(other.IsBroken);
        await other.AddAsync(new HeldKey());
        Assert.That((await _store.EventsAsync()).Count(entry => entry.Type == EventType.IntegrityViolation), Is.EqualTo(1));
    }

    [Test]
    public async Task Another_key_that_knows_the_first_takes_over_for_all_of_it()
    {
        await AppendAsync(_store.Ledger, 1_500);
        await _store.ChangeAsync(async change => Assert.That((await change.CutAsync(DateTimeOffset.MaxValue, 1_000, 100)).Count, Is.EqualTo(100)));
        var next = AuditKey.Generate();
        await AppendAsync(LedgerOf(next.After(Store.AuditKey.Public)), 1);

        Assert.That((await _store.EventsAsync()).Count(entry => entry.Body.Contains("audit_key_changed", StringComparison.Ordinal)), Is.EqualTo(1));
        Assert.That(_store.Follower.IsBroken, Is.False);
        Assert.That(await CheckAsync(next.Public), Is.Null);
        Assert.That((await CheckAsync())!.Seq, Is.EqualTo(101), "the new key has signed for what was pruned as well");
    }

    [Test]
    public async Task An_earlier_key_signs_no_end_any_more_once_another_has_taken_over()
    {
        await _store.AddAsync(new HeldKey());
        var next = AuditKey.Generate();
        var ledger = LedgerOf(next.After(Store.AuditKey.Public));
        await AppendAsync(ledger, 1);
        await AppendAsync(ledger, 1);

        var head = await _store.HeadAsync();
        await SignHeadAsync(Store.AuditKey.Sign(head, HeldKey.Start), Store.AuditKey.Public);
        using (var other = new OtherNode(_store, next.After(Store.AuditKey.Public), hasTakenOver: true))
            await other.AddAsync(new HeldKey());
        var found = (await _store.EventsAsync()).Single(entry => entry.Type == EventType.IntegrityViolation);
        Assert.That(found.Body, Does.Contain("\"to\":\"retired_key\""));
        Assert.That((await CheckAsync(next.Public))!.Problem, Does.Contain($"event {found.Seq} tells of it"));
    }

    [Test]
    public async Task A_node_that_has_signed_itself_believes_no_earlier_key_after_that()
    {
        await _store.AddAsync(new HeldKey());
        var next = AuditKey.Generate();
        var ledger = LedgerOf(next.After(Store.AuditKey.Public));
        await AppendAsync(ledger, 1);
        await SignHeadAsync(Store.AuditKey.Sign(await ForgeAsync(), HeldKey.Start), Store.AuditKey.Public);
        await AppendAsync(ledger, 1);
        Assert.That((await _store.EventsAsync())[^2].Body, Does.Contain("\"to\":\"retired_key\""));
    }

    [Test]
    public async Task A_node_with_the_earlier_key_alone_records_nothing_any_more_and_spoils_nothing()
    {
        await _store.AddAsync(new HeldKey());
        var next = AuditKey.Generate();
        var ledger = LedgerOf(next.After(Store.AuditKey.Public).TakingOverFrom(Store.AuditKey));
        await AppendAsync(ledger, 1);
        var head = await _store.HeadAsync();

        for (var attempt = 0; attempt < 2; attempt++)
            Assert.That(() => _store.AddAsync(new HeldKey()), Throws.TypeOf<LedgerUnavailableException>());
        Assert.That(await _store.HeadAsync(), Is.EqualTo(head));
        Assert.That(_store.Seal.IsSuperseded);
        Assert.That(new LedgerHealth(_store.Gate, _store.Seal).IsWritable, Is.False);
        await AppendAsync(ledger, 1);
        Assert.That(await CheckAsync(next.Public), Is.Null);
    }

    [Test]
    public async Task A_begin_that_somebody_else_made_is_not_signed_by_the_next_key()
    {
        await AppendAsync(_store.Ledger, 1_500);
        await _store.ChangeAsync(async change => Assert.That((await change.CutAsync(DateTimeOffset.MaxValue, 1_000, 100)).Count, Is.EqualTo(100)));
        await _store.AskAsync("UPDATE ledger_begin SET seq = 110, hash = (SELECT hash FROM ledger WHERE seq = 110); DELETE FROM ledger WHERE seq <= 110");
        var next = AuditKey.Generate();
        await AppendAsync(LedgerOf(next.After(Store.AuditKey.Public)), 1);

        Assert.That((await CheckAsync(next.Public))!.Seq, Is.EqualTo(111));
    }

    /// <summary>Adds an event behind the end, as somebody would who can write the tables.</summary>
    private async Task<LedgerPosition> ForgeAsync()
    {
        var forged = LedgerEvent.Append(await _store.HeadAsync(), HeldKey.Start, new PendingEvent(EventType.AuthFailed, Actor.System, null, null));
        await using (var database = _store.CreateDbContext())
        {
            database.Events.Add(forged);
            await database.SaveChangesAsync();
        }

        await _store.AskAsync($"UPDATE ledger_head SET seq = {forged.Seq}, hash = '{forged.Hash}'");
        return forged.Position;
    }

    private SqlLedger LedgerOf(AuditKey key) => new(
        _store, _store.Sql, _store.Gate, _store.Follower, new HeadSigner(key, _store.Follower, NullLogger<HeadSigner>.Instance), _store.Rows, new AuditScope(), NullLogger<SqlLedger>.Instance);

    private Task<long> SignHeadAsync(Checkpoint statement, AuditPublicKey key) => _store.AskAsync(
        $"UPDATE ledger_head SET signed_at = {statement.At.ToUnixTimeMilliseconds()}, signature = '{statement.Signature}', signed_by = '{key.Text}'");

    private async Task<ChainFault?> CheckAsync(AuditPublicKey? key = null) =>
        await LedgerVerification.CheckAsync(_store.Reader, _store.Archive, () => new ChainProof([key ?? Store.AuditKey.Public]), CancellationToken.None);

    // In small changes, which a busy machine too writes in time.
    private static async Task AppendAsync(ILedger ledger, int count)
    {
        for (var left = count; left > 0; left -= MostAtOnce)
        {
            var most = Math.Min(left, MostAtOnce);
            await ledger.ChangeAsync(
                change =>
                {
                    for (var i = 0; i < most; i++)
                        change.Record(new PendingEvent(EventType.AuthFailed, Actor.System, null, null));
                    return Task.FromResult(true);
                },
                CancellationToken.None);
        }
    }
}
