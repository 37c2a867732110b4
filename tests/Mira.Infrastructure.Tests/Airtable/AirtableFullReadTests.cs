using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>Records that people deleted, and how Airtable stands when it is away.</summary>
public sealed class AirtableFullReadTests
{
    private AirtableStoreNode _governed = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _governed = await AirtableStoreNode.StartAsync();
        _held = await _governed.AddAsync();
    }

    [TearDown]
    public Task TearDown() => _governed.DisposeAsync().AsTask();

    [Test]
    public async Task A_deleted_record_stops_its_key_with_the_first_sweep_and_ends_it_with_the_second()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That((await _governed.EventsAsync(EventType.IntegrityViolation)).Single().Body, Does.Contain("row_missing"));

        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.EventsAsync(EventType.KeyRevoked), Has.Count.EqualTo(1));

        var head = await _governed.Store.HeadAsync();
        await _governed.SweepAsync();
        Assert.That(await _governed.Store.HeadAsync(), Is.EqualTo(head), "and that is all");
    }

    [Test]
    public async Task A_poll_alone_finds_nothing_missing()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task When_too_many_are_gone_at_once_nothing_is_stopped_and_it_is_told_once()
    {
        var others = await AddAsync(10);
        _governed.Table.Delete(row => others.Any(held => held.Id.Value == (string?)row.Fields["key_id"]));

        await _governed.SweepAsync();
        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        foreach (var held in others)
            Assert.That(await _governed.AskAsync(held), Is.EqualTo(VerdictCode.Valid));
        Assert.That((await _governed.EventsAsync(EventType.IntegrityViolation)).Single().Body, Does.Contain("rows_vanished"));
        Assert.That(_governed.Node.Sight.Health, Is.EqualTo(_governed.Node.Sight.Health with { Vanished = 10 }));
        Assert.That(_governed.Node.Sight.Health.IsWell, Is.False);
    }

    [Test]
    public async Task Five_of_a_few_may_be_deleted_on_purpose()
    {
        var others = await AddAsync(5);
        _governed.Table.Delete(row => others.Any(held => held.Id.Value == (string?)row.Fields["key_id"]));

        await _governed.SweepAsync();
        await _governed.SweepAsync();

        foreach (var held in others)
            Assert.That(await _governed.AskAsync(held), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task A_sweep_that_Airtable_forgets_in_the_middle_concludes_nothing()
    {
        await AddAsync(120);
        _governed.Table.Delete(_governed.RecordIdOf(_held));
        _governed.Server.Faults.Next(AirtableFault.Slow, 1, call => call.Query.Contains("offset=", StringComparison.Ordinal));
        var second = _governed.Server.Hold(call => call.Query.Contains("offset=", StringComparison.Ordinal));
        var sweeping = _governed.SweepAsync();
        await second.Arrived;
        _governed.Server.ForgetOffsets();
        await second.ReleaseAsync();

        Assert.That(() => sweeping, Throws.TypeOf<AirtableException>());
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
    }

    [Test]
    public async Task A_key_made_while_a_sweep_runs_is_not_missing()
    {
        var page = _governed.Server.Hold(call => call.Query.Contains("pageSize", StringComparison.Ordinal));
        var sweeping = _governed.SweepAsync();
        await page.Arrived;
        var made = await _governed.AddAsync();
        await page.ReleaseAsync();
        await sweeping;

        Assert.That(await _governed.AskAsync(made), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task The_last_use_is_shown_in_the_record_and_is_no_change_of_it()
    {
        await _governed.Store.AskAsync("UPDATE secrets SET last_used_at = 1777777777000 RETURNING version");
        var head = await _governed.Store.HeadAsync();

        await _governed.Node.Upkeep.ShowUseAsync(CancellationToken.None);
        var calls = _governed.Server.Calls.Count;
        await _governed.Node.Upkeep.ShowUseAsync(CancellationToken.None);

        Assert.That((string?)_governed.RowOf(_held)["last_used"], Is.EqualTo("2026-05-03T03:09:37.000Z"));
        Assert.That(_governed.Server.Calls, Has.Count.EqualTo(calls), "once");
        await _governed.PollAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _governed.Store.HeadAsync(), Is.EqualTo(head));
    }

    [Test]
    public async Task Uses_are_written_ten_records_a_call()
    {
        await AddAsync(39);
        await _governed.Store.AskAsync("UPDATE secrets SET last_used_at = 1777777777000 RETURNING version");
        var calls = _governed.Server.Calls.Count;

        await _governed.Node.Upkeep.ShowUseAsync(CancellationToken.None);

        Assert.That(_governed.Server.Calls.Count - calls, Is.LessThanOrEqualTo(5), "the first goes alone");
        Assert.That(_governed.Table.Snapshot().Select(row => row.Fields["last_used"]), Has.None.Null);
    }

    [Test]
    public async Task What_a_person_did_wrong_shows_until_it_is_mended()
    {
        _governed.Edit(_held, "role", "admin");
        await _governed.PollAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Findings, Is.EqualTo(1));

        await _governed.RenameAsync(_held, "renamed");
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(_governed.Node.Sight.Health.Findings, Is.Zero);
    }

    private async Task<HeldKey[]> AddAsync(int count)
    {
        HeldKey[] keys = [.. Enumerable.Range(0, count).Select(_ => new HeldKey())];
        await _governed.Store.AddAsync(keys);
        return keys;
    }
}
