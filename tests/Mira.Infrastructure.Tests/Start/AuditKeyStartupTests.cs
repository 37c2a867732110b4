using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Tests.Ledger;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Start;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
internal sealed class AuditKeyStartupTests(StoreKind kind)
{
    private TestFolder _folder = null!;
    private Store _store = null!;
    private DataFolder _data = null!;
    private Messages<AuditKeyStartup> _log = null!;

    private string Anchor => _folder.At("anchor");

    [SetUp]
    public async Task SetUp()
    {
        _folder = new TestFolder();
        _log = new Messages<AuditKeyStartup>();
        _data = DataFolder.At(_folder.Make("data"), _folder.Make("app"));
        _store = await Store.OpenAsync(kind);
    }

    [TearDown]
    public void TearDown()
    {
        _store.Dispose();
        _folder.Dispose();
    }

    [Test]
    public async Task What_was_published_last_is_in_the_ledger_and_there_is_nothing_to_tell()
    {
        await OpenAsync();
        await PublishAsync(5);
        await AddAsync(3);
        await OpenAsync();
        // A line that a crash has torn, one of nobody's, and an older one of another node.
        var older = Store.AuditKey.Sign((await _store.EventsAsync())[1].Position, HeldKey.Start);
        await File.AppendAllTextAsync(Anchor, AuditKey.Generate().Sign(new LedgerPosition(99, new string('1', 64)), HeldKey.Start).ToLine() + "\n" + older.ToLine() + "\n{\"checkpoint\":{\"at");
        await OpenAsync();

        Assert.That(_store.Follower.Violation, Is.Null);
        Assert.That(_store.Follower.IsBroken, Is.False);
        Assert.That(_log.Lines, Is.Empty);
    }

    [Test]
    public async Task A_ledger_that_was_put_back_is_told_and_so_is_one_that_has_grown_again_since()
    {
        await AddAsync(3);
        await _store.AskAsync("CREATE TABLE backup AS SELECT * FROM ledger_head; ");
        await PublishAsync(5);
        var epoch = _store.Changes.Epoch;
        await _store.AskAsync("DELETE FROM ledger WHERE seq > 3; DELETE FROM ledger_head; INSERT INTO ledger_head SELECT * FROM backup");
        await RestartAsync();
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.EqualTo("ledger_behind"));
        Assert.That(_store.Follower.IsBroken);
        Assert.That(_store.Changes.Epoch, Is.Not.EqualTo(epoch), "what other caches hold is of another ledger");
        Assert.That(_log.Lines.Single().Level, Is.EqualTo(LogLevel.Critical));

        await AddAsync(9);
        await RestartAsync();
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.EqualTo("hash_differs"));
    }

    [Test]
    public async Task What_was_pruned_since_accuses_nobody_and_what_was_deleted_does()
    {
        await PublishAsync(5);
        await AddAsync(10);
        await _store.ChangeAsync(async change => Assert.That((await change.CutAsync(DateTimeOffset.MaxValue, 4, 100)).Count, Is.EqualTo(11)));
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.Null);

        await _store.AskAsync("DELETE FROM ledger_begin");
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.EqualTo("hash_differs"));
    }

    [Test]
    public async Task Checkpoints_of_a_key_that_nobody_named_are_no_proof_of_anything()
    {
        await AddAsync(1);
        await AnchorFile.AppendAsync(Anchor, AuditKey.Generate().Sign(new LedgerPosition(99, new string('1', 64)), HeldKey.Start), CancellationToken.None);
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.Null);
        Assert.That(_log.Lines.Single().Level, Is.EqualTo(LogLevel.Warning));
    }

    [Test]
    public async Task A_begin_that_nobody_signed_is_no_pruning()
    {
        await PublishAsync(5);
        await AddAsync(5);
        await _store.AskAsync("DELETE FROM ledger WHERE seq <= 6; INSERT INTO ledger_begin (id, seq, hash, signed_at, signature, epoch) VALUES (1, 6, 'x', 0, 'x', 'x')");
        await OpenAsync();
        Assert.That(_store.Follower.Violation, Is.EqualTo("hash_differs"));
    }

    [Test]
    public async Task The_public_part_is_laid_there_when_the_ledger_is_signed_by_it_and_not_before()
    {
        await OpenAsync();
        Assert.That(File.ReadAllText(_data.AuditPublicKey), Is.EqualTo(Store.AuditKey.Public.ExportPem()), "with nothing in the ledger yet");
        await AddAsync(1);
        Assert.That(_log.Lines, Is.Empty);
        var next = AuditKey.Generate().After(Store.AuditKey.Public);
        await OpenAsync(next);
        Assert.That(File.ReadAllText(_data.AuditPublicKey), Is.EqualTo(Store.AuditKey.Public.ExportPem()));
        var (level, text) = _log.Lines.Single();
        Assert.That(level, Is.EqualTo(LogLevel.Warning));
        Assert.That(text, Does.Contain(Store.AuditKey.Public.Id), "the earlier one will have done what it was there for");

        await TakeOverAsync(next);
        await OpenAsync(next);
        Assert.That(File.ReadAllText(_data.AuditPublicKey), Is.EqualTo(next.Public.ExportPem()));
        Assert.That(_log.Lines, Has.Count.EqualTo(2), "as long as it is there");
    }

    [Test]
    public async Task A_key_that_does_not_name_the_one_that_has_signed_is_refused_before_anything_is_written()
    {
        await AddAsync(1);
        AuditKeys.Publish(_data, Store.AuditKey.Public);
        var stranger = AuditKey.Generate();
        ExpectRefusal(stranger, Store.AuditKey.Public.Id);
        await OpenAsync(stranger.After(Store.AuditKey.Public));
        Assert.That(await _store.HeadAsync(), Has.Property("Seq").EqualTo(1));

        // Signed by nobody at all: that is no matter of settings, and is recorded.
        await _store.AskAsync("UPDATE ledger_head SET signature = NULL");
        await OpenAsync(stranger);
    }

    [Test]
    public async Task One_that_was_made_in_the_folder_in_place_of_a_lost_one_goes_on()
    {
        await AddAsync(1);
        var made = AuditKey.Generate();
        await File.WriteAllTextAsync(_data.AuditKey, made.ExportPem());
        var seal = await OpenAsync(made);
        await AddAsync(LedgerOf(made, seal));
        Assert.That((await _store.EventsAsync())[1].Body, Does.Contain("\"to\":\"unknown_key\""));
    }

    [TestCase("anchor")]
    [TestCase("checkpoint")]
    [TestCase("folder")]
    public async Task A_forgers_end_is_no_matter_of_settings_while_anything_shows_whose_the_ledger_was(string evidence)
    {
        await AddAsync(3);
        if (evidence == "anchor")
            await AnchorFile.AppendAsync(Anchor, Store.AuditKey.Sign(await _store.HeadAsync(), HeldKey.Start), CancellationToken.None);
        if (evidence == "checkpoint")
            await _store.Archive.KeepAsync((await _store.Archive.ReadHeadAsync(CancellationToken.None)).Statement!, Store.AuditKey.Public, CancellationToken.None);
        var forger = AuditKey.Generate();
        AuditKeys.Publish(_data, evidence == "folder" ? Store.AuditKey.Public : forger.Public);
        await SignHeadAsync(forger);

        var seal = await OpenAsync();
        await AddAsync(LedgerOf(Store.AuditKey, seal));
        Assert.That((await _store.EventsAsync())[3].Body, Does.Contain("\"to\":\"unknown_key\""));
    }

    [TestCase("anchor")]
    [TestCase("handover")]
    [TestCase("folder")]
    public async Task An_end_of_an_earlier_key_is_refused_once_the_later_one_has_signed(string evidence)
    {
        await AddAsync(3);
        var next = AuditKey.Generate();
        var named = next.After(Store.AuditKey.Public);
        if (evidence == "anchor")
            await AnchorFile.AppendAsync(Anchor, next.Sign(await _store.HeadAsync(), HeldKey.Start), CancellationToken.None);
        if (evidence == "handover")
            await TakeOverAsync(named);
        if (evidence == "folder")
            AuditKeys.Publish(_data, next.Public);
        await SignHeadAsync(Store.AuditKey);
        var head = await _store.HeadAsync();

        ExpectRefusal(named, "older copy");
        Assert.That(await _store.HeadAsync(), Is.EqualTo(head));
        // Both ways that the refusal names.
        var seal = await OpenAsync(next);
        await AddAsync(LedgerOf(next, seal));
        Assert.That((await _store.EventsAsync())[(int)head.Seq].Body, Does.Contain("\"to\":\"unknown_key\""));
    }

    [Test]
    public async Task A_key_that_another_has_taken_over_from_does_not_start_and_may_take_back()
    {
        await AddAsync(3);
        var next = AuditKey.Generate();
        await TakeOverAsync(next.After(Store.AuditKey.Public).TakingOverFrom(Store.AuditKey));
        ExpectRefusal(Store.AuditKey, "Give that one");

        var back = Store.AuditKey.After(next.Public);
        var seal = await OpenAsync(back);
        await AddAsync(LedgerOf(back, seal));
        Assert.That((await _store.EventsAsync()).Count(entry => entry.Body.Contains(AuditKeyRotation.Mark, StringComparison.Ordinal)), Is.EqualTo(2));
        Assert.That(await LedgerVerification.CheckAsync(_store.Reader, _store.Archive, () => new ChainProof([back.Public]), CancellationToken.None), Is.Null);
    }

    [Test]
    public async Task A_takeover_that_the_outgoing_key_has_not_signed_is_a_forgers()
    {
        await AddAsync(3);
        await ForgeHandoverAsync(AuditKey.Generate());
        ExpectRefusal(Store.AuditKey, "the ledger was forged");

        // Where the key is known to have signed it is recorded, and survived.
        AuditKeys.Publish(_data, Store.AuditKey.Public);
        await AddAsync(LedgerOf(Store.AuditKey, await OpenAsync(Store.AuditKey)));
        Assert.That((await _store.EventsAsync())[4].Body, Does.Contain("\"to\":\"unknown_key\""));
        Assert.That(_store.Follower.IsBroken);
    }

    private async Task ForgeHandoverAsync(AuditKey forger)
    {
        var forged = LedgerEvent.Append(await _store.HeadAsync(), HeldKey.Start, new AuditKeyRotation(Store.AuditKey.Public, forger.Public).Draft());
        await _store.AskAsync($"INSERT INTO ledger (seq, at, type, body, previous_hash, hash) VALUES ({forged.Seq}, {forged.At.ToUnixTimeMilliseconds()}, '{forged.Type}', '{forged.Body}', '{forged.PreviousHash}', '{forged.Hash}')");
        await _store.AskAsync($"UPDATE ledger_head SET seq = {forged.Seq}, hash = '{forged.Hash}'");
        await SignHeadAsync(forger);
        await _store.Follower.CatchUpAsync();
    }

    private void ExpectRefusal(AuditKey key, string said) =>
        Assert.That(() => OpenAsync(key), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_AUDIT_KEY: ").And.Message.Contains(said));

    private async Task TakeOverAsync(AuditKey next)
    {
        using var other = new OtherNode(_store, next);
        await other.AddAsync(new HeldKey());
    }

    private async Task SignHeadAsync(AuditKey key)
    {
        var statement = key.Sign(await _store.HeadAsync(), HeldKey.Start);
        await _store.AskAsync($"UPDATE ledger_head SET signed_at = {statement.At.ToUnixTimeMilliseconds()}, signature = '{statement.Signature}', signed_by = '{key.Public.Text}'");
    }

    private SqlLedger LedgerOf(AuditKey key, HeadSigner seal)
    {
        Assert.That(seal.Key, Is.EqualTo(key));
        return new SqlLedger(_store, _store.Sql, _store.Gate, _store.Follower, seal, _store.Rows, new AuditScope(), NullLogger<SqlLedger>.Instance);
    }

    private async Task<HeadSigner> OpenAsync(AuditKey? key = null)
    {
        var seal = new HeadSigner(key ?? Store.AuditKey, _store.Follower, NullLogger<HeadSigner>.Instance);
        var opening = new AuditKeyStartup(
            _store.Archive, _store.Reader, key ?? Store.AuditKey, seal, _store.Follower, new AnchorOptions(Anchor, null), _store.Clock, _log, _data);
        await opening.OpenAsync(CancellationToken.None);
        return seal;
    }

    private async Task PublishAsync(int count)
    {
        await AddAsync(count);
        await AnchorFile.AppendAsync(Anchor, Store.AuditKey.Sign(await _store.HeadAsync(), HeldKey.Start), CancellationToken.None);
    }

    private async Task AddAsync(int count)
    {
        for (var i = 0; i < count; i++)
            await AddAsync(_store.Ledger);
    }

    private static Task<bool> AddAsync(ILedger ledger) => ledger.ChangeAsync(
        change =>
        {
            change.Record(new PendingEvent(EventType.AuthFailed, Actor.System, null, $"{Guid.NewGuid()}"));
            return Task.FromResult(true);
        },
        CancellationToken.None);

    // A node that starts has seen nothing yet.
    private async Task RestartAsync()
    {
        if (_store.Follower.Violation is { } told)
            _store.Follower.MarkRecorded(told);
        await _store.Follower.StartAsync(CancellationToken.None);
    }
}
