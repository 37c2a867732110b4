using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace Mira.TestServers.Airtable;

/// <summary>The calls of <c>/v0/{base}/{table}</c>. A batch is carried out whole or not at all.</summary>
internal sealed partial class AirtableRecordCalls(AirtableServerOptions options)
{
    private const int LargestBatch = 10;
    private const int LargestPage = 100;

    private readonly Dictionary<string, List> _lists = [];

    /// <summary>Every offset given out is forgotten.</summary>
    public void ForgetOffsets() => _lists.Clear();

    public JsonObject Answer(AirtableSheet sheet, string method, string? recordId, IQueryCollection query, JsonObject? body) => (method, recordId) switch
    {
        ("GET", null) => Page(sheet, query),
        ("GET", _) => Shown(sheet.Row(recordId) ?? throw AirtableRefusal.NoRecord()),
        ("POST", null) => Create(sheet, body),
        ("PATCH" or "PUT", null) => Update(sheet, body, method == "PUT"),
        ("PATCH" or "PUT", _) => UpdateOne(sheet, recordId, body, method == "PUT"),
        ("DELETE", null) => Delete(sheet, query),
        ("DELETE", _) => DeleteOne(sheet, recordId),
        _ => throw AirtableRefusal.NoRoute(),
    };

    private JsonObject Page(AirtableSheet sheet, IQueryCollection query)
    {
        var size = LargestPage;
        if (query.TryGetValue("pageSize", out var text) && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size))
            throw AirtableRefusal.Invalid();
        if (size is < 1 or > LargestPage)
            throw AirtableRefusal.Invalid();

        string[] fields = [.. query["fields[]"].OfType<string>()];
        if (fields.FirstOrDefault(field => !sheet.Has(field)) is { } unknown)
            throw AirtableRefusal.UnknownField(unknown);

        var list = query.TryGetValue("offset", out var offset) ? Continued(offset.ToString()) : Begun(sheet, query);
        string[] page = [.. list.Ids.Skip(list.At).Take(size)];
        var answer = new JsonObject
        {
            ["records"] = new JsonArray([.. page.Select(sheet.Row).OfType<RecordState>().Select(row => Shown(row, fields))]),
        };
        if (list.At + size < list.Ids.Length)
        {
            var next = $"{AirtableIds.New("itr")}/{page[^1]}";
            _lists[next] = list with { At = list.At + size };
            answer["offset"] = next;
        }

        return answer;
    }

    private List Begun(AirtableSheet sheet, IQueryCollection query)
    {
        var rows = sheet.Rows;
        if (query.TryGetValue("filterByFormula", out var formula) && formula.ToString().Length > 0)
        {
            if (ModifiedAfter().Match(formula.ToString()) is not { Success: true } match
                || !DateTimeOffset.TryParse(match.Groups[1].Value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var after))
            {
                throw AirtableRefusal.Unprocessable(
                    "INVALID_FILTER_BY_FORMULA", "The formula for filtering records is invalid: Invalid formula. Please check your formula text.");
            }

            rows = rows.Where(row => row.ModifiedAt > after);
        }

        return new List([.. rows.Select(row => row.Id)], 0, options.Clock.GetUtcNow());
    }

    private List Continued(string offset) =>
        _lists.TryGetValue(offset, out var list) && options.Clock.GetUtcNow() - list.BegunAt < options.OffsetLife
            ? list
            : throw AirtableRefusal.Unprocessable("LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "The list records iterator is not available. Please start again.");

    private static JsonObject Create(AirtableSheet sheet, JsonObject? body)
    {
        if (body?["fields"] is JsonObject one)
            return Shown(sheet.Add(sheet.Taken(one, Typecast(body))));

        JsonObject[] taken = [.. Batch(body).Select(record => sheet.Taken(FieldsOf(record), Typecast(body)))];
        return Shown(taken.Select(sheet.Add));
    }

    private static JsonObject Update(AirtableSheet sheet, JsonObject? body, bool isWhole)
    {
        if (body?["performUpsert"] is JsonObject upsert)
            return Upsert(sheet, body, upsert, isWhole);

        (string Id, JsonObject Fields)[] changes = [.. Batch(body).Select(record => (Demand(sheet, record), sheet.Taken(FieldsOf(record), Typecast(body))))];
        if (changes.DistinctBy(change => change.Id).Count() != changes.Length)
            throw AirtableRefusal.Unprocessable("INVALID_RECORDS", "You cannot update the same record multiple times in a single request.");
        return Shown(changes.Select(change => sheet.Change(change.Id, change.Fields, isWhole)));
    }

    private static JsonObject Upsert(AirtableSheet sheet, JsonObject body, JsonObject upsert, bool isWhole)
    {
        string[] merge = [.. (upsert["fieldsToMergeOn"] as JsonArray ?? []).Select(name => (string?)name ?? "")];
        if (merge.Length is 0 or > 3)
            throw AirtableRefusal.Invalid();
        if (merge.FirstOrDefault(name => !sheet.Has(name)) is { } unknown)
            throw AirtableRefusal.UnknownField(unknown);

        (string? Id, JsonObject Fields)[] changes =
            [.. Batch(body).Select(record => (Target(sheet, record, merge), sheet.Taken(FieldsOf(record), Typecast(body))))];
        // Whether two records of one request name the same row is not left to chance.
        if (changes.DistinctBy(change => string.Join('\n', merge.Select(name => change.Fields[name]?.ToJsonString()))).Count() != changes.Length)
            throw AirtableRefusal.Invalid("Cannot upsert the same record multiple times in a single request.");

        RecordState[] rows = [.. changes.Select(change => change.Id is null ? sheet.Add(change.Fields) : sheet.Change(change.Id, change.Fields, isWhole))];
        var answer = Shown(rows);
        answer["createdRecords"] = new JsonArray([.. rows.Where((_, index) => changes[index].Id is null).Select(row => (JsonNode)row.Id)]);
        answer["updatedRecords"] = new JsonArray([.. rows.Where((_, index) => changes[index].Id is not null).Select(row => (JsonNode)row.Id)]);
        return answer;
    }

    /// <summary>The row that an upsert changes; null when it makes one.</summary>
    private static string? Target(AirtableSheet sheet, JsonObject record, string[] merge)
    {
        if (record["id"] is not null)
            return Demand(sheet, record);

        var fields = FieldsOf(record);
        if (merge.Any(name => fields[name] is null))
            throw AirtableRefusal.Invalid();
        string[] matches = [.. sheet.Rows.Where(row => merge.All(name => JsonNode.DeepEquals(row.Fields[name], fields[name]))).Select(row => row.Id)];
        return matches.Length > 1
            ? throw AirtableRefusal.Invalid("Multiple records match the fields to merge on.")
            : matches.SingleOrDefault();
    }

    private static JsonObject UpdateOne(AirtableSheet sheet, string id, JsonObject? body, bool isWhole)
    {
        if (sheet.Row(id) is null)
            throw AirtableRefusal.NoRecord();
        return Shown(sheet.Change(id, sheet.Taken(FieldsOf(body), Typecast(body)), isWhole));
    }

    private static JsonObject Delete(AirtableSheet sheet, IQueryCollection query)
    {
        string[] ids = [.. query["records[]"].OfType<string>()];
        if (ids.Length is 0 or > LargestBatch)
            throw AirtableRefusal.Invalid();
        if (ids.FirstOrDefault(id => sheet.Row(id) is null) is { } missing)
            throw Missing(missing);
        return new JsonObject { ["records"] = new JsonArray([.. ids.Select(id => DeleteOne(sheet, id))]) };
    }

    private static JsonObject DeleteOne(AirtableSheet sheet, string id)
    {
        if (sheet.Row(id) is null)
            throw AirtableRefusal.NoRecord();
        sheet.Remove(id);
        return new JsonObject { ["id"] = id, ["deleted"] = true };
    }

    private static JsonObject[] Batch(JsonObject? body) => body?["records"] is JsonArray { Count: > 0 and <= LargestBatch } records
        ? [.. records.Select(record => record as JsonObject ?? throw AirtableRefusal.Invalid())]
        : throw AirtableRefusal.Invalid();

    private static JsonObject FieldsOf(JsonObject? record) => record?["fields"] as JsonObject ?? throw AirtableRefusal.Invalid();

    private static string Demand(AirtableSheet sheet, JsonObject record)
    {
        var id = (string?)record["id"] ?? throw AirtableRefusal.Invalid();
        return sheet.Row(id) is null ? throw Missing(id) : id;
    }

    private static AirtableRefusal Missing(string id) => AirtableRefusal.Unprocessable("ROW_DOES_NOT_EXIST", $"Record ID {id} does not exist in this table");

    private static bool Typecast(JsonObject? body) => body?["typecast"]?.GetValueKind() == JsonValueKind.True;

    private static JsonObject Shown(IEnumerable<RecordState> rows) => new() { ["records"] = new JsonArray([.. rows.Select(row => Shown(row))]) };

    private static JsonObject Shown(RecordState row, params string[] fields) => new()
    {
        ["id"] = row.Id,
        ["createdTime"] = row.CreatedAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        ["fields"] = new JsonObject(row.Fields
            .Where(cell => fields.Length == 0 || fields.Contains(cell.Key))
            .Select(cell => KeyValuePair.Create(cell.Key, cell.Value?.DeepClone()))),
    };

    [GeneratedRegex(@"^IS_AFTER\(LAST_MODIFIED_TIME\(\),\s*'([^']+)'\)$")]
    private static partial Regex ModifiedAfter();

    private sealed record List(string[] Ids, int At, DateTimeOffset BegunAt);
}
