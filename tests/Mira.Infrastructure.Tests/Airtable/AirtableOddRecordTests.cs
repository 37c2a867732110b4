using System.Text;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// A cell, a record or an answer that is odd stands alone: the others are read, judged and written as if it were not
/// there.
/// </summary>
public sealed class AirtableOddRecordTests
{
    private const int Rounds = 60;

    private AirtableStoreNode _governed = null!;
    private HeldKey _held = null!;
    private HeldKey _other = null!;

    [SetUp]
    public async Task SetUp()
    {
        _governed = await AirtableStoreNode.StartAsync();
        _held = await _governed.AddAsync();
        _other = await _governed.AddAsync();
    }

    [TearDown]
    public Task TearDown() => _governed.DisposeAsync().AsTask();

    [TestCase("\"\\ud800\"")]
    [TestCase("\"a\\udc00b\"")]
    [TestCase("\"\\ud83d\\ud83d\\udd11\"")]
    public async Task Half_a_pair_in_a_cell_is_an_edit_like_any_other(string cell)
    {
        _governed.Edit(_held, "owner", "here");
        _governed.Edit(_other, "status", "revoked");
        var rows = new JsonArray([.. _governed.Table.Snapshot().Select(row => new JsonObject { ["id"] = row.Id, ["fields"] = row.Fields })]);
        var review = _governed.Node.Get<RecordReconciler>();
        var asked = review.Ask();
        using var response = new HttpResponseMessage { Content = new StringContent($"{{\"records\":{rows.ToJsonString().Replace("\"here\"", cell, StringComparison.Ordinal)}}}", Encoding.UTF8, "application/json") };
        var answer = await AirtableResponse.ReadAsync(response, CallPriority.Background, TimeProvider.System, CancellationToken.None);

        await review.ReviewAsync(ResponseReader.Records(answer.Body), asked, CancellationToken.None);

        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(await _governed.AskAsync(_other), Is.EqualTo(VerdictCode.KeyRevoked), "nothing stands still for it");
    }

    [TestCase("""{"a":"\ud800"}""", """{"a":"\ufffd"}""")]
    [TestCase("""{"\udc00":1}""", """{"\ufffd":1}""")]
    [TestCase("""["\ud83d\udd11","\\ud800","\ud83d"]""", """["\ud83d\udd11","\\ud800","\ufffd"]""")]
    [TestCase("""["\ud83d\ud83d\udd11","\uD800\n\"\\"]""", """["\ufffd\ud83d\udd11","\ufffd\n\"\\"]""")]
    [TestCase("""{"a":"b\\"}""", """{"a":"b\\"}""")]
    [TestCase("\\", "\\")]
    [TestCase("\\ud80", "\\ud80")]
    [TestCase("\\ud800", "\\ufffd")]
    public void Half_of_a_surrogate_pair_is_mended_and_nothing_else_is(string json, string mended) => Assert.That(SurrogateRepair.Mend(json), Is.EqualTo(mended));

    [Test]
    public async Task A_record_without_cells_shows_and_the_others_are_looked_at()
    {
        DistortLists(record => record.Remove("fields"));
        _governed.Edit(_held, "owner", "somebody");
        _governed.Edit(_other, "status", "revoked");

        await _governed.PollAsync();
        await _governed.SweepAsync();
        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(await _governed.AskAsync(_other), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(await _governed.AskAsync(_held), Is.EqualTo(VerdictCode.Valid), "it is there, and says nothing");
        Assert.That(_governed.Node.Sight.Health.Findings, Is.EqualTo(1));
        var told = _governed.Node.AggregatedEvents.Take().Single();
        Assert.That((told.Group.Reason, told.Group.Subject), Is.EqualTo(("row_unreadable", _held.Id.Value)));

        _governed.Server.Distort = null;
        _governed.Edit(_held, "owner", null);
        await _governed.SweepAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(_governed.Node.Sight.Health.Findings, Is.Zero);
        Assert.That(await _governed.EventsAsync(EventType.IntegrityViolation), Is.Empty);
    }

    [Test]
    public async Task What_is_no_record_at_all_does_not_stop_the_page()
    {
        _governed.Server.Distort = (call, body) =>
        {
            if (call.Method == "GET" && body["records"] is JsonArray records)
            {
                foreach (var odd in (JsonNode?[])[null, 1, "x", new JsonArray(), new JsonObject(), new JsonObject { ["id"] = 5 }])
                    records.Insert(0, odd);
            }
        };
        _governed.Edit(_other, "status", "revoked");

        await _governed.PollAsync();

        Assert.That(await _governed.AskAsync(_other), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(_governed.Node.AggregatedEvents.Take().Single().Group.Reason, Is.EqualTo("row_unreadable"));
    }

    [Test]
    public async Task A_record_missing_in_the_answer_to_a_write_of_several_spoils_that_one_alone()
    {
        await _governed.MarkDirtyAsync();
        var record = _governed.RecordIdOf(_held);
        _governed.Server.Distort = (call, body) =>
        {
            if (call.Method == "PATCH" && body["records"] is JsonArray records)
                records.OfType<JsonObject>().FirstOrDefault(one => (string?)one["id"] == record)?.Remove("fields");
        };

        Assert.That(_governed.RepairAsync, Throws.TypeOf<AirtableException>());

        await using var database = _governed.Store.CreateDbContext();
        Assert.That(database.AirtableRows.Where(row => row.IsDirty).Select(row => row.KeyId).ToList(), Is.EqualTo([_held.Id]));
    }

    [Test]
    public async Task Two_writes_of_one_record_at_once_go_out_one_after_the_other()
    {
        var writer = _governed.Node.Get<RecordWriter>();
        var (one, two) = (_governed.RecordIdOf(_held), _governed.RecordIdOf(_other));
        var first = _governed.Server.Hold(call => call.Method == "PATCH");
        Task[] waiting = [writer.ShowUseAsync(one, HeldKey.Start)];
        await first.Arrived;
        waiting = [.. waiting, .. Enumerable.Range(1, 5).SelectMany(minute => new[] { one, two }.Select(record => writer.ShowUseAsync(record, HeldKey.Start.AddMinutes(minute))))];
        await first.ReleaseAsync();

        await Task.WhenAll(waiting);

        Assert.That((string?)_governed.RowOf(_held)["last_used"], Is.EqualTo("2026-03-01T12:05:00.000Z"), "in the order in which they came");
    }

    [Test]
    public async Task A_record_that_Airtable_does_not_keep_as_it_is_given_shows_and_is_left_alone_until_the_next_sweep()
    {
        await _governed.MarkDirtyAsync();
        var record = _governed.RecordIdOf(_held);
        _governed.Server.Distort = (_, body) =>
        {
            foreach (var one in (body["records"] as JsonArray ?? []).OfType<JsonObject>().Where(one => (string?)one["id"] == record))
                one["fields"]!["name"] = "trimmed";
        };

        await _governed.RepairAsync();
        var calls = _governed.Server.Calls.Count;
        await _governed.RepairAsync();
        await _governed.Node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(_governed.Server.Calls, Has.Count.EqualTo(calls));
        Assert.That(_governed.Node.Sight.Health.Findings, Is.EqualTo(1));
        Assert.That(await _governed.IsInStepAsync(_other));
    }

    [Test]
    public async Task Random_JSON_in_the_cells_never_throws_out_of_a_review([Range(1, 3)] int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < Rounds; round++)
        {
            DistortLists(record =>
            {
                foreach (var field in TableSchema.Fields.Select(field => field.Name).Append("of a person's own").Where(_ => random.Next(3) == 0))
                    record["fields"]![field] = RandomJson.Make(random, 3);
            });
            await _governed.SweepAsync();
        }

        _governed.Server.Distort = null;
        _governed.Edit(_other, "status", "revoked");
        await _governed.PollAsync();
        Assert.That(await _governed.AskAsync(_other), Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That((await _governed.Store.ReadAsync(_held.Id))!.Role, Is.EqualTo(Role.Operator));
    }

    /// <summary>Changes how the one record is listed.</summary>
    private void DistortLists(Action<JsonObject> distort)
    {
        var record = _governed.RecordIdOf(_held);
        _governed.Server.Distort = (call, body) =>
        {
            foreach (var one in (call.Method == "GET" ? body["records"] as JsonArray ?? [] : []).OfType<JsonObject>().Where(one => (string?)one["id"] == record))
                distort(one);
        };
    }

    private static class RandomJson
    {
        private static readonly string[] Literals =
        [
            "null", "true", "0", "-1", "1e400", "1e-400", "100000000000000000000", "0.1", "-0", "\"\"", "\"\\u0000\"", "\"\\ufffe\"", "\"revoked \"", "\"active\"",
            "\"0001-01-01T00:00:00+14:00\"", "\"9999-12-31T23:59:59-14:00\"", "\"2026-02-30\"", "\"{\\\"secrets\\\":null}\"", "\"{}\"", "\"a.b.c\"", "\"00000000.1.00\"", "{}", "[]",
        ];

        public static JsonNode? Make(Random random, int depth) => (depth == 0 ? 0 : random.Next(8)) switch
        {
            5 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Make(random, depth - 1))]),
            6 => new JsonObject(Enumerable.Range(0, random.Next(4)).Select(number => KeyValuePair.Create($"{number}", Make(random, depth - 1)))),
            7 => new string((char)random.Next(0x20, 0xD800), random.Next(20_000)),
            _ => JsonNode.Parse(Literals[random.Next(Literals.Length)]),
        };
    }
}
