using System.Text.Json.Nodes;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

internal sealed class AirtableClientTests
{
    private AirtableNode _node = null!;

    [SetUp]
    public async Task StartAsync() => _node = await AirtableNode.StartAsync();

    [TearDown]
    public ValueTask StopAsync() => _node.DisposeAsync();

    [Test]
    public async Task An_upsert_makes_what_is_new_and_changes_what_is_there_and_answers_in_the_order_given()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k2")], CallPriority.Change, CancellationToken.None);

        var rows = await _node.Client.UpsertAsync(
            [AirtableNode.Row("k1"), AirtableNode.Row("k2", "Renamed"), AirtableNode.Row("k3")], CallPriority.Change, CancellationToken.None);

        Assert.That(rows.Select(row => (string?)row.Fields["key_id"]), Is.EqualTo(["k1", "k2", "k3"]));
        Assert.That(rows[1].Id, Is.EqualTo(made.Single().Id));
        Assert.That(_node.Sheet.Snapshot().Select(row => (string?)row.Fields["name"]), Is.EqualTo(["Renamed", "A key", "A key"]));
    }

    [Test]
    public async Task An_update_goes_by_record_id_keeps_what_it_does_not_name_and_empties_what_is_null()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k1"), AirtableNode.Row("k2")], CallPriority.Change, CancellationToken.None);
        var copy = _node.Sheet.Duplicate(made[0].Id);

        var rows = await _node.Client.UpdateAsync(
            [
                new AirtableRecord(made[1].Id, new JsonObject { ["version"] = 2 }),
                new AirtableRecord(made[0].Id, new JsonObject { ["name"] = null, ["status"] = "revoked" }),
            ],
            CallPriority.Change,
            CancellationToken.None);

        Assert.That(rows.Select(row => row.Id), Is.EqualTo([made[1].Id, made[0].Id]));
        Assert.That((int?)rows[0].Fields["version"], Is.EqualTo(2));
        Assert.That((string?)rows[0].Fields["name"], Is.EqualTo("A key"));
        Assert.That(rows[1].Fields.ContainsKey("name"), Is.False);
        Assert.That((string?)_node.Sheet.Snapshot().Single(row => row.Id == copy).Fields["status"], Is.EqualTo("active"), "a copy is another row");
    }

    [Test]
    public async Task A_row_is_found_until_it_is_deleted_and_deleting_it_again_is_fine()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None);

        var found = await _node.Client.FindAsync(made[0].Id, CallPriority.Change, CancellationToken.None);
        await _node.Client.DeleteAsync(made[0].Id, CancellationToken.None);
        await _node.Client.DeleteAsync(made[0].Id, CancellationToken.None);

        Assert.That((string?)found?.Fields["key_id"], Is.EqualTo("k1"));
        Assert.That(await _node.Client.FindAsync(made[0].Id, CallPriority.Background, CancellationToken.None), Is.Null);
        Assert.That(_node.Sheet.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task A_list_comes_in_pages_of_a_hundred_with_the_cells_asked_for()
    {
        for (var batch = 0; batch < 25; batch++)
        {
            var rows = Enumerable.Range(batch * 10, 10).Select(number => AirtableNode.Row($"k{number}")).ToArray();
            await _node.Client.UpsertAsync(rows, CallPriority.Change, CancellationToken.None);
        }

        List<AirtablePage> pages = [];
        do
            pages.Add(await _node.Client.ListAsync(pages.LastOrDefault()?.Offset, null, ["key_id", "mac"], CancellationToken.None));
        while (pages[^1].Offset is not null);

        Assert.That(pages.Select(page => page.Records.Count), Is.EqualTo([100, 100, 50]));
        Assert.That(pages.SelectMany(page => page.Records).Select(row => (string?)row.Fields["key_id"]).Distinct().Count(), Is.EqualTo(250));
        Assert.That(pages[0].Records.Select(row => row.Fields.Count), Is.All.EqualTo(1), "empty cells and unwanted ones are left out");
        Assert.That(pages[0].ServedAt, Is.EqualTo(TimeProvider.System.GetUtcNow()).Within(TimeSpan.FromSeconds(5)));
    }

    [Test]
    public async Task A_list_of_changes_holds_what_was_changed_after_a_time()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k1"), AirtableNode.Row("k2")], CallPriority.Change, CancellationToken.None);
        var after = _node.Sheet.Snapshot().Max(row => row.ModifiedAt).AddMilliseconds(1);
        do
            _node.Sheet.Edit(made[1].Id, "name", "Edited");
        while (_node.Sheet.Find("key_id", "k2")!.ModifiedAt <= after);

        var page = await _node.Client.ListAsync(null, after, null, CancellationToken.None);

        Assert.That(page.Records.Select(row => row.Id), Is.EqualTo([made[1].Id]));
        Assert.That(page.Offset, Is.Null);
    }

    [Test]
    public async Task A_write_of_no_row_or_of_more_than_ten_or_of_one_twice_is_not_even_tried()
    {
        var before = _node.Server.Calls.Count;
        var eleven = Enumerable.Range(0, 11).Select(number => AirtableNode.Row($"k{number}")).ToArray();

        Assert.That(() => _node.Client.UpsertAsync([], CallPriority.Change, CancellationToken.None), Throws.ArgumentException);
        Assert.That(() => _node.Client.UpsertAsync(eleven, CallPriority.Change, CancellationToken.None), Throws.ArgumentException);
        Assert.That(() => _node.Client.UpsertAsync([AirtableNode.Row("k"), AirtableNode.Row("k")], CallPriority.Change, CancellationToken.None), Throws.ArgumentException);
        Assert.That(() => _node.Client.UpsertAsync([[]], CallPriority.Change, CancellationToken.None), Throws.ArgumentException);
        Assert.That(_node.Server.Calls, Has.Count.EqualTo(before));
    }

    [Test]
    public async Task An_upsert_of_a_key_that_has_two_rows_is_refused()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None);
        _node.Sheet.Duplicate(made[0].Id);

        var refusal = await Assert.ThrowsAsync<AirtableException>(() => _node.Client.UpsertAsync([AirtableNode.Row("k1")], CallPriority.Change, CancellationToken.None));

        Assert.That(refusal!.Fate, Is.EqualTo(DeliveryState.NotSent));
        Assert.That((int?)refusal.Status, Is.EqualTo(422));
    }

    [Test]
    public async Task A_batch_with_a_missing_row_changes_nothing_and_says_so()
    {
        var made = await _node.Client.UpsertAsync([AirtableNode.Row("k1"), AirtableNode.Row("k2")], CallPriority.Change, CancellationToken.None);
        _node.Sheet.Delete(made[1].Id);

        var refusal = await Assert.ThrowsAsync<AirtableException>(() => _node.Client.UpdateAsync(
            [.. made.Select(row => new AirtableRecord(row.Id, new JsonObject { ["version"] = 9 }))], CallPriority.Change, CancellationToken.None));

        Assert.That((refusal!.Fate, refusal.ErrorType), Is.EqualTo((DeliveryState.NotSent, "ROW_DOES_NOT_EXIST")));
        Assert.That((int?)_node.Sheet.Find("key_id", "k1")!.Fields["version"], Is.EqualTo(1));
    }

    [Test]
    public async Task A_forgotten_offset_is_told_by_its_own_word()
    {
        for (var number = 0; number < 101; number++)
            _node.Sheet.Insert(AirtableNode.Row($"k{number}"));
        var page = await _node.Client.ListAsync(null, null, null, CancellationToken.None);
        _node.Server.ForgetOffsets();

        var refusal = await Assert.ThrowsAsync<AirtableException>(() => _node.Client.ListAsync(page.Offset, null, null, CancellationToken.None));

        Assert.That(refusal!.ErrorType, Is.EqualTo("LIST_RECORDS_ITERATOR_NOT_AVAILABLE"));
    }

    [Test]
    public async Task A_missing_table_is_no_missing_row()
    {
        _node.Server.RemoveSheet(AirtableNode.Table);

        var refusal = await Assert.ThrowsAsync<AirtableException>(() => _node.Client.FindAsync("rec00000000000000", CallPriority.Change, CancellationToken.None));

        Assert.That(refusal!.ErrorType, Is.EqualTo("INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND"));
    }
}
