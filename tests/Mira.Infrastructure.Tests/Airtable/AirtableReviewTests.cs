using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>What people do in the table by hand, and what comes of it at the next poll.</summary>
public sealed class AirtableReviewTests
{
    private Governed _governed = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _governed = await Governed.StartAsync();
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

    [TestCase("role", "admin")]
    [TestCase("name", "mine")]
    [TestCase("status", "disabled")]
    [TestCase("permissions", "documents:*")]
    [TestCase("allowed_ips", "0.0.0.0/0")]
    [TestCase("expires_at", "2036-01-01T00:00:00.000Z")]
    [TestCase("key_hash", "{}")]
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
    public async Task A_withheld_key_can_be_revoked_by_hand()
    {
        _governed.Edit(_held, "role", "admin");
        await _governed.PollAsync();
        _governed.Edit(_held, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyRevoked));
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
        foreach (var field in AirtableSchema.Fields)
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
        var told = _governed.Node.Gathered.Take().Single();
        Assert.That((told.Group.Reason, told.Group.Subject, told.Count), Is.EqualTo(("row_copied", _held.Id.Value, 1)));
    }

    [Test]
    public async Task A_record_made_by_hand_is_no_key()
    {
        var stranger = new HeldKey(Role.Admin);
        var fields = AirtableForm.FieldsOf(stranger.Key);
        _governed.Table.Insert(fields);

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(stranger), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(_governed.Node.Gathered.Take().Single().Group.Reason, Is.EqualTo("row_without_key"));
    }

    [Test]
    public async Task Rows_that_name_no_key_are_nobodys_business()
    {
        _governed.Table.Insert(new JsonObject { ["name"] = "a note between the keys" });

        await _governed.PollAsync();

        Assert.That(_governed.Node.Gathered.Take(), Is.Empty);
    }

    [Test]
    public async Task The_last_use_that_a_person_wrote_is_no_change()
    {
        _governed.Edit(_held, "last_used", "2030-01-01T00:00:00.000Z");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task An_empty_database_beside_a_filled_table_takes_the_keys_in()
    {
        await _governed.RotateAsync(_held, out var token);
        var revoked = await _governed.AddAsync();
        await _governed.RevokeAsync(revoked);
        var edited = await _governed.AddAsync();
        _governed.Edit(edited, "role", "admin");
        _governed.Table.Duplicate(_governed.RecordIdOf(revoked));
        await using var anew = await _governed.StartAnewAsync();

        await anew.SweepAsync();

        Assert.That(await anew.AskAsync(_held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await anew.AskAsync(token), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await anew.AskAsync(revoked), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await anew.AskAsync(edited), Is.EqualTo(VerdictCode.InvalidKey), "nobody can vouch for it");
        await anew.RenameAsync(_held, "renamed");
        Assert.That(await anew.IsInStepAsync(_held));
    }

    [Test]
    public async Task Keys_taken_in_are_listed_by_when_they_were_made()
    {
        var names = new List<string>();
        for (var number = 0; number < 5; number++)
        {
            names.Insert(0, $"key {number}");
            await _governed.Store.AddAsync(new HeldKey(new KeyTerms { Name = names[0], Role = Role.Viewer, LifetimeDays = 90 }, HeldKey.Start.AddMinutes(number + 1)));
        }

        await using var anew = await _governed.StartAnewAsync();
        await anew.SweepAsync();

        var found = await anew.Store.Keys.FindAsync(new Sql.KeyFilters().All, CancellationToken.None);
        Assert.That(found.Select(row => row.Key.Name), Is.EqualTo(names.Append("billing")));
    }

    [Test]
    public async Task A_digest_renewed_under_another_pepper_comes_to_the_record_with_a_sweep()
    {
        await _governed.Store.AskAsync("UPDATE secrets SET digest = zeroblob(32) RETURNING version");

        await _governed.SweepAsync();
        await _governed.RepairAsync();

        Assert.That(await _governed.IsInStepAsync(_held));
    }
}
