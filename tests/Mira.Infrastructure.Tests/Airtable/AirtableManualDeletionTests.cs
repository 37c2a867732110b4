using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// A record that a person has deleted is not made again: the sweeps decide what that means for its key.
/// </summary>
public sealed class AirtableManualDeletionTests
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
    public async Task Deleted_while_it_waits_to_be_written_again_it_is_revoked_and_not_made_again()
    {
        await _governed.MarkDirtyAsync();
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.RepairAsync();
        await _governed.SweepAsync();
        await _governed.RepairAsync();
        await _governed.SweepAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(_governed.Table.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task Withheld_already_it_is_not_let_in_by_a_repair()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));
        await _governed.SweepAsync();
        await _governed.MarkDirtyAsync();

        await _governed.RepairAsync();
        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(_governed.Table.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task A_record_that_is_missing_is_asked_for_once_and_not_at_each_repair()
    {
        await _governed.MarkDirtyAsync();
        _governed.Table.Delete(_governed.RecordIdOf(_held));
        await _governed.RepairAsync();
        var calls = _governed.Server.Calls.Count;

        await _governed.RepairAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(_governed.Server.Calls, Has.Count.EqualTo(calls));
        Assert.That(_governed.Node.Sight.Health.Findings, Is.EqualTo(1), "and shows in health");
    }

    [Test]
    public async Task Taken_back_out_of_the_trash_it_is_written_first_and_then_let_in()
    {
        var record = _governed.Table.Find("key_id", _held.Id.Value)!;
        await _governed.MarkDirtyAsync();
        _governed.Table.Delete(record.Id);
        await _governed.RepairAsync();
        await _governed.SweepAsync();
        _governed.Table.Restore(record);

        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        await _governed.RepairAsync();
        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _governed.IsInStepAsync(_held));
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Findings, Is.Zero);
    }

    [Test]
    public async Task Taken_back_after_its_key_was_revoked_it_says_so_and_nothing_else_happens()
    {
        var record = _governed.Table.Find("key_id", _held.Id.Value)!;
        _governed.Table.Delete(record.Id);
        await _governed.SweepAsync();
        await _governed.SweepAsync();
        _governed.Table.Restore(record);

        await _governed.SweepAsync();
        await _governed.RepairAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That(await _governed.EventsAsync(EventType.IntegrityViolation), Has.Count.EqualTo(1), "that it was missing");
    }

    [Test]
    public async Task A_change_through_Mira_is_refused_and_does_not_make_it_again()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());
        await _governed.SweepAsync();
        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(_governed.Table.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task It_can_be_revoked_through_Mira_without_its_record()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.RevokeAsync(_held);
        await _governed.RepairAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(_governed.Table.Snapshot(), Is.Empty);
        Assert.That(await _governed.EventsAsync(EventType.KeyRevoked), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task It_can_be_switched_off_through_Mira_and_is_revoked_by_the_sweeps_all_the_same()
    {
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.Store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, HeldKey.Start));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        await _governed.SweepAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(_governed.Table.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task Clearing_away_the_records_of_revoked_keys_hides_no_later_deletion()
    {
        var dead = await AddAsync(8);
        foreach (var one in dead)
            await _governed.RevokeAsync(one);
        _governed.Table.Delete(row => dead.Any(held => held.Id.Value == (string?)row.Fields["key_id"]));
        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Vanished, Is.Zero);
        _governed.Table.Delete(_governed.RecordIdOf(_held));

        await _governed.SweepAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Rows_of_revoked_keys_do_not_make_many_missing_ones_look_few()
    {
        var dead = await AddAsync(200);
        await _governed.Store.AskAsync($"UPDATE keys SET revoked_at = 1, revoked_by = 'me' WHERE id <> '{_held.Id.Value}' RETURNING 1");
        var others = await AddAsync(6);
        _governed.Table.Delete(row => others.Any(held => held.Id.Value == (string?)row.Fields["key_id"]));

        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(dead, Has.Length.EqualTo(200));
        Assert.That(_governed.Node.Sight.Health.Vanished, Is.EqualTo(6));
        Assert.That(await _governed.AskAsync(others[0]), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task Records_of_expired_keys_do_not_count_as_vanished_and_their_keys_are_revoked()
    {
        var expired = await AddAsync(8);
        await _governed.Store.AskAsync($"UPDATE keys SET lapse_at = 1 WHERE id <> '{_held.Id.Value}' RETURNING 1");
        await _governed.Store.AskAsync($"UPDATE secrets SET expires_at = 1 WHERE key_id <> '{_held.Id.Value}' RETURNING 1");
        await _governed.Store.SignAsync();
        _governed.Table.Delete(row => expired.Any(held => held.Id.Value == (string?)row.Fields["key_id"]));

        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Vanished, Is.Zero);
        await _governed.SweepAsync();

        foreach (var one in expired)
            Assert.That((await _governed.Store.ReadAsync(one.Id))!.RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task One_that_cannot_be_asked_for_does_not_keep_the_others_from_being_missed()
    {
        var other = await _governed.AddAsync();
        var record = _governed.RecordIdOf(_held);
        _governed.Table.Delete(record);
        _governed.Table.Delete(_governed.RecordIdOf(other));
        _governed.Server.Faults.Always(Mira.TestServers.Airtable.AirtableFault.HtmlAfter, call => call.Path.EndsWith(record, StringComparison.Ordinal));

        await _governed.SweepAsync();
        Assert.That(await _governed.AskAsync(other), Is.EqualTo(VerdictCode.KeyDisabled));
        _governed.Server.Faults.Clear();
        await _governed.ReachAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.AskAsync(other), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
    }

    private async Task<HeldKey[]> AddAsync(int count)
    {
        HeldKey[] keys = [.. Enumerable.Range(0, count).Select(_ => new HeldKey())];
        await _governed.Store.AddAsync(keys);
        return keys;
    }
}
