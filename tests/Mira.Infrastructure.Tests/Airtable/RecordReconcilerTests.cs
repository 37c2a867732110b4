using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>What people do in the table by hand, and what comes of it at the next poll.</summary>
public sealed class RecordReconcilerTests
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
    public async Task A_table_nobody_touched_is_right()
    {
        var head = await _governed.Store.HeadAsync();

        await _governed.PollAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.Store.HeadAsync(), Is.EqualTo(head));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [TestCase("role", "admin")]
    [TestCase("name", "mine")]
    [TestCase("status", "disabled")]
    [TestCase("permissions", "documents:*")]
    [TestCase("allowed_ips", "0.0.0.0/0")]
    [TestCase("expires_at", "2036-01-01T00:00:00.000Z")]
    [TestCase("key_hash", "{}")]
    [TestCase("key_id", "")]
    [TestCase("key_id", "other")]
    [TestCase("key_id", "mira_key_000000000001")]
    [TestCase("mac", "")]
    [TestCase("mac", null)]
    public async Task Any_other_change_stops_the_key_and_is_a_violation(string field, string? value)
    {
        _governed.Edit(_held, field, value);

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        var violation = (await _governed.EventsAsync(EventType.IntegrityViolation)).Single();
        Assert.That((violation.Subject, violation.Body.Contains("\"reason\":\"row_edited\"", StringComparison.Ordinal)), Is.EqualTo((_held.Id.Value, true)));
        if (field is not "mac")
            Assert.That(violation.Body, Does.Contain($"\"{field}\":"));
    }

    [TestCase("rate_limit")]
    [TestCase("version")]
    public async Task A_number_out_of_all_reach_is_a_change_like_any_other(string field)
    {
        var other = await _governed.AddAsync();
        _governed.Edit(_held, field, JsonNode.Parse("100000000000000000000"));
        _governed.Edit(other, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(await _governed.AskAsync(other), Is.EqualTo(VerdictCode.KeyRevoked), "nothing stands still for it");
    }

    [Test]
    public async Task A_record_that_bears_another_keys_id_is_still_the_key_it_was_settled_for()
    {
        var other = await _governed.AddAsync();
        _governed.Edit(_held, "key_id", other.Id.Value);

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(await _governed.AskAsync(other), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task A_record_that_is_refused_shows_until_it_is_taken()
    {
        await _governed.MarkDirtyAsync();
        _governed.Table.RemoveField("owner");
        await _governed.RepairAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Findings, Is.EqualTo(1));

        _governed.Table.AddField("owner", "singleLineText");
        await _governed.Node.Upkeep.AdoptAsync(CancellationToken.None);
        await _governed.RepairAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(_governed.Node.Sight.Health.Findings, Is.Zero);
        Assert.That(await _governed.IsInStepAsync(_held));
    }

    [Test]
    public async Task What_was_found_is_told_once_however_often_it_is_looked_at()
    {
        _governed.Edit(_held, "role", "admin");
        for (var look = 0; look < 3; look++)
            await _governed.PollAsync();
        await _governed.SweepAsync();

        Assert.That(await _governed.EventsAsync(EventType.IntegrityViolation), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task The_next_change_through_Mira_mends_it()
    {
        _governed.Edit(_held, "role", "admin");
        await _governed.PollAsync();

        await _governed.RenameAsync(_held, "renamed");

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That((string?)_governed.RowOf(_held)["role"], Is.EqualTo("operator"));
        await _governed.PollAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task A_change_through_Mira_that_comes_before_the_poll_writes_over_what_a_person_did()
    {
        _governed.Edit(_held, "role", "admin");

        await _governed.RenameAsync(_held, "renamed");

        await _governed.PollAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That((string?)_governed.RowOf(_held)["role"], Is.EqualTo("operator"));
    }

    [Test]
    public async Task Taking_the_change_back_by_hand_mends_it_too()
    {
        _governed.Edit(_held, "role", "admin");
        await _governed.PollAsync();
        _governed.Edit(_held, "role", "operator");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That((await _governed.EventsAsync(EventType.IntegrityViolation))[^1].Body, Does.Contain("row_restored"));
    }

    [Test]
    public async Task A_revoked_key_cannot_be_brought_back_by_hand_and_its_record_is_put_right()
    {
        await _governed.RevokeAsync(_held);
        _governed.Table.Edit(_governed.RecordIdOf(_held), new JsonObject { ["status"] = "active", ["revoked_at"] = null });

        await _governed.PollAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That(await _governed.EventsAsync(EventType.IntegrityViolation), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task An_older_version_put_back_by_hand_is_written_over()
    {
        var older = (JsonObject)_governed.RowOf(_held).DeepClone();
        await _governed.RevokeAsync(_held);
        foreach (var field in TableSchema.Fields)
            older.TryAdd(field.Name, null);
        _governed.Table.Edit(_governed.RecordIdOf(_held), older);

        await _governed.PollAsync();
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
        await _governed.RepairAsync();

        Assert.That(await _governed.IsInStepAsync(_held));
        Assert.That((string?)_governed.RowOf(_held)["status"], Is.EqualTo("revoked"));
    }

    [Test]
    public async Task A_copy_counts_for_nothing_and_the_original_goes_on()
    {
        var copy = _governed.Table.Duplicate(_governed.RecordIdOf(_held));
        _governed.Table.Edit(copy, "status", "revoked");

        await _governed.PollAsync();
        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        var told = _governed.Node.AggregatedEvents.Take().Single();
        Assert.That((told.Group.Reason, told.Group.Subject, told.Count), Is.EqualTo(("row_copied", _held.Id.Value, 1)));
    }

    [Test]
    public async Task A_record_made_by_hand_is_no_key()
    {
        var stranger = new HeldKey(Role.Admin);
        var fields = RecordMapper.FieldsOf(stranger.Key);
        _governed.Table.Insert(fields);

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(stranger), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(_governed.Node.AggregatedEvents.Take().Single().Group.Reason, Is.EqualTo("row_without_key"));
    }

    [Test]
    public async Task Rows_that_name_no_key_are_nobodys_business()
    {
        _governed.Table.Insert(new JsonObject { ["name"] = "a note between the keys" });

        await _governed.PollAsync();

        Assert.That(_governed.Node.AggregatedEvents.Take(), Is.Empty);
    }

    [Test]
    public async Task The_last_use_that_a_person_wrote_is_no_change()
    {
        _governed.Edit(_held, "last_used", "2030-01-01T00:00:00.000Z");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }
}
