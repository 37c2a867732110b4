using System.Text.Json.Nodes;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>The one change by hand that counts: that a person sets a key's status to revoked.</summary>
public sealed class AirtableManualRevocationTests
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
    public async Task Setting_the_status_to_revoked_counts()
    {
        _governed.Edit(_held, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        var revoked = (await _governed.EventsAsync(EventType.KeyRevoked)).Single();
        Assert.That(revoked.Subject, Is.EqualTo(_held.Id.Value));
        Assert.That(revoked.Body, Does.Contain("\"name\":\"system\""));
        await _governed.RepairAsync();
        Assert.That(await _governed.IsInStepAsync(_held), "the record says when");
    }

    [Test]
    public async Task So_does_that_of_the_last_admin()
    {
        var admin = await _governed.AddAsync(Role.Admin);
        _governed.Edit(admin, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(admin), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Set_to_revoked_with_its_id_gone_it_is_revoked()
    {
        var record = _governed.RecordIdOf(_held);
        _governed.Table.Edit(record, new JsonObject { ["key_id"] = "x", ["status"] = "revoked" });

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Set_to_revoked_while_the_record_waits_to_be_written_again_it_is_revoked()
    {
        await _governed.MarkDirtyAsync();
        _governed.Edit(_held, "status", "revoked");

        await _governed.RepairAsync();
        Assert.That((string?)_governed.RowOf(_held)["status"], Is.EqualTo("revoked"), "it is not written over");
        await _governed.PollAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Set_to_revoked_before_a_change_through_Mira_it_is_revoked_and_the_change_refused(bool disables)
    {
        _governed.Edit(_held, "status", "revoked");

        Assert.That(
            () => _governed.Store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = "renamed", Disabled = disables }, 1, HeldKey.Start)),
            Throws.TypeOf<StoreUnavailableException>());
        await _governed.PollAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Name, Is.EqualTo("billing"));
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task Set_to_disabled_before_a_change_through_Mira_it_is_written_over()
    {
        _governed.Edit(_held, "status", "disabled");

        await _governed.RenameAsync(_held, "renamed");

        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task A_withheld_key_can_be_revoked_by_hand()
    {
        _governed.Edit(_held, "role", "admin");
        await _governed.PollAsync();
        _governed.Edit(_held, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Set_to_revoked_between_the_look_and_the_write_of_a_repair_it_is_revoked()
    {
        await _governed.MarkDirtyAsync();
        var write = _governed.Server.Hold(call => call.Method == "PATCH");
        var repairing = _governed.RepairAsync();
        await write.Arrived;
        _governed.Edit(_held, "status", "revoked");
        await write.ReleaseAsync();
        await repairing;

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked), "at once");
        await _governed.RepairAsync();
        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That(await _governed.EventsAsync(EventType.IntegrityViolation), Is.Empty);
    }

    [Test]
    public async Task Set_to_revoked_before_a_key_that_had_no_record_got_one_it_is_revoked()
    {
        await _governed.Store.AskAsync("UPDATE airtable_rows SET record_id = '', mac = '', is_dirty = 1 RETURNING 1");
        _governed.Edit(_held, "status", "revoked");

        await _governed.RepairAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task A_record_that_says_revoked_counts_whoever_wrote_it()
    {
        await _governed.RevokeAsync(_held);
        await _governed.Store.AskAsync("UPDATE keys SET revoked_at = NULL, revoked_by = NULL RETURNING 1");
        await _governed.Store.SignAsync();

        await _governed.SweepAsync();

        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task Set_to_revoked_while_a_change_waits_to_be_settled_polls_do_not_pass_it_over()
    {
        const string longAgo = "1000";
        _governed.Server.Faults.Always(TestServers.Airtable.AirtableFault.HtmlAfter, call => call.IsWrite);
        Assert.That(() => _governed.RenameAsync(_held, "renamed"), Throws.TypeOf<StoreUnavailableException>());
        _governed.Server.Faults.Clear();
        _governed.Edit(_held, "status", "revoked");
        await _governed.Store.AskAsync($"UPDATE airtable_state SET seen_until = {longAgo} RETURNING 1");

        await _governed.PollAsync();
        await _governed.PollAsync();
        Assert.That(await SeenUntilAsync(), Is.EqualTo(longAgo), "the next poll asks for it again");
        await _governed.SettleAsync();
        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        await _governed.PollAsync();
        Assert.That(await SeenUntilAsync(), Is.Not.EqualTo(longAgo));
    }

    private async Task<string> SeenUntilAsync() =>
        (await _governed.Store.AskAsync("SELECT seen_until FROM airtable_state")).ToString(System.Globalization.CultureInfo.InvariantCulture);
}
