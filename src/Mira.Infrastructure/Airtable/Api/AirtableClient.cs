using System.Globalization;
using System.Text.Json.Nodes;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// The calls of Airtable's Web API that Mira makes. Each waits for its turn (5 a second for a base) and is tried again
/// where that is safe; see <see cref="RequestPipeline"/>. Every call throws <see cref="AirtableException"/>, whose
/// outcome says whether a change may have been made. A call that is cancelled may have been made as well.
/// </summary>
public sealed class AirtableClient(HttpClient http, AirtableOptions options, RequestPipeline pipeline)
{
    /// <summary>Airtable takes no more rows in one write.</summary>
    public const int MaximumWrite = 10;

    /// <summary>
    /// Airtable gives no more rows in one page. A page whose cells come to more than is taken is asked for again with
    /// fewer rows.
    /// </summary>
    private static readonly int[] PageSizes = [100, 10, 1];

    private readonly string _rows = $"{options.BaseId}/{Uri.EscapeDataString(options.Table)}";
    private readonly string _tables = $"meta/bases/{options.BaseId}/tables";

    /// <summary>The next hundred rows of the table, in no order that can be relied on.</summary>
    /// <param name="offset">Where the page before ended; null for the first. One that Airtable forgot: 422
    /// <c>LIST_RECORDS_ITERATOR_NOT_AVAILABLE</c>.</param>
    /// <param name="modifiedAfter">Rows with a cell changed since then alone, by Airtable's clock; the same for every
    /// page of one list.</param>
    /// <param name="fields">The cells wanted; null for all.</param>
    public async Task<AirtablePage> ListAsync(
        string? offset, DateTimeOffset? modifiedAfter, IReadOnlyList<string>? fields, CancellationToken cancellationToken)
    {
        List<string> query = [];
        // The one formula there is; nothing in it comes from outside.
        if (modifiedAfter is { } after)
            query.Add("filterByFormula=" + Uri.EscapeDataString($"IS_AFTER(LAST_MODIFIED_TIME(), '{Text(after)}')"));
        query.AddRange((fields ?? []).Select(field => "fields%5B%5D=" + Uri.EscapeDataString(field)));
        if (offset is not null)
            query.Add("offset=" + Uri.EscapeDataString(offset));
        var answer = await ListAsync(string.Concat(query.Select(part => '&' + part)), cancellationToken);
        return new AirtablePage(
            ResponseReader.Records(answer.Body),
            ResponseReader.Text(answer.Body["offset"]),
            answer.ServedAt ?? throw AirtableResponse.Nonsense("without the time"));
    }

    /// <summary>One row.</summary>
    /// <returns>Null when Airtable says that there is no such row.</returns>
    public async Task<AirtableRecord?> FindAsync(string recordId, CallPriority urgency, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await SendAsync(HttpMethod.Get, RowPath(recordId), null, urgency, true, cancellationToken);
            var record = ResponseReader.Record(answer.Body);
            return record.Id == recordId && !record.IsUnreadable ? record : throw AirtableResponse.Nonsense("with another row");
        }
        catch (AirtableException exception) when (ResponseReader.IsMissingRecord(exception))
        {
            return null;
        }
    }

    /// <summary>
    /// Makes rows, or changes those whose <c>key_id</c> is the same. Several rows with one key id: 422. Not tried again
    /// when it may have been applied, because a second one beside it can make a second row.
    /// </summary>
    /// <param name="fields">1 to 10 rows, each with a <c>key_id</c> of its own.</param>
    /// <returns>The rows as they are now, in the order given; one of which the answer says nothing is
    /// unreadable.</returns>
    public async Task<IReadOnlyList<AirtableRecord>> UpsertAsync(
        IReadOnlyList<JsonObject> fields, CallPriority urgency, CancellationToken cancellationToken)
    {
        var ids = Demand([.. fields.Select(row => ResponseReader.Text(row[TableSchema.KeyId]) ?? throw new ArgumentException("A row has no key_id."))]);
        var body = new JsonObject
        {
            ["performUpsert"] = new JsonObject { ["fieldsToMergeOn"] = new JsonArray(TableSchema.KeyId) },
            ["records"] = new JsonArray([.. fields.Select(row => new JsonObject { ["fields"] = row.DeepClone() })]),
        };
        var answer = await SendAsync(HttpMethod.Patch, _rows, body, urgency, false, cancellationToken);
        return ResponseReader.InOrder(ids, ResponseReader.Records(answer.Body), record => ResponseReader.Text(record.Fields[TableSchema.KeyId]));
    }

    /// <summary>
    /// Changes rows by their record ids. A missing row: 422 <c>ROW_DOES_NOT_EXIST</c>, and none is changed.
    /// </summary>
    /// <param name="changes">1 to 10 rows with the cells to change.</param>
    /// <returns>The whole rows as they are now, in the order given; one of which the answer says nothing is
    /// unreadable.</returns>
    public async Task<IReadOnlyList<AirtableRecord>> UpdateAsync(
        IReadOnlyList<AirtableRecord> changes, CallPriority urgency, CancellationToken cancellationToken)
    {
        var ids = Demand([.. changes.Select(change => change.Id)]);
        var body = new JsonObject
        {
            ["records"] = new JsonArray([.. changes.Select(change => new JsonObject { ["id"] = change.Id, ["fields"] = change.Fields.DeepClone() })]),
        };
        var answer = await SendAsync(HttpMethod.Patch, _rows, body, urgency, true, cancellationToken);
        return ResponseReader.InOrder(ids, ResponseReader.Records(answer.Body), record => record.Id);
    }

    /// <summary>Removes a row; one that is gone already is as good.</summary>
    public async Task DeleteAsync(string recordId, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(HttpMethod.Delete, RowPath(recordId), null, CallPriority.Change, true, cancellationToken);
        }
        catch (AirtableException exception) when (ResponseReader.IsMissingRecord(exception))
        {
        }
    }

    /// <summary>What the table looks like; needs the scope <c>schema.bases:read</c>.</summary>
    /// <returns>Null when the base has no such table.</returns>
    public async Task<TableDescription?> FindTableAsync(CancellationToken cancellationToken)
    {
        var answer = await SendAsync(HttpMethod.Get, _tables, null, CallPriority.Background, true, cancellationToken);
        var tables = ResponseReader.Tables(answer.Body);
        return tables.FirstOrDefault(table => table.Id == options.Table) ?? tables.FirstOrDefault(table => table.Name == options.Table);
    }

    /// <summary>
    /// Makes the table with all its fields; needs the scope <c>schema.bases:write</c>. One of that name: 422
    /// <c>DUPLICATE_TABLE_NAME</c>.
    /// </summary>
    public Task CreateTableAsync(CancellationToken cancellationToken)
    {
        var body = new JsonObject
        {
            ["name"] = options.Table,
            ["description"] = "The API keys of Mira, one record each. docs/airtable.md says what people may change.",
            ["fields"] = new JsonArray([.. TableSchema.Fields.Select(field => field.ToJson())]),
        };
        return SendAsync(HttpMethod.Post, _tables, body, CallPriority.Background, false, cancellationToken);
    }

    /// <summary>Adds fields to the table, one call each; needs the scope <c>schema.bases:write</c>.</summary>
    /// <param name="names">Of the schema's fields.</param>
    public async Task AddFieldsAsync(TableDescription table, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        foreach (var field in TableSchema.Fields.Where(field => names.Contains(field.Name)))
            await SendAsync(HttpMethod.Post, $"{_tables}/{table.Id}/fields", field.ToJson(), CallPriority.Background, false, cancellationToken);
    }

    private async Task<AirtableResponse> ListAsync(string query, CancellationToken cancellationToken)
    {
        for (var number = 0; ; number++)
        {
            var isLast = number == PageSizes.Length - 1;
            var call = new AirtableCall(HttpMethod.Get, $"{_rows}?pageSize={PageSizes[number]}{query}", null, CallPriority.Background, true) { CanBeSmaller = !isLast };
            try
            {
                return await pipeline.SendAsync(http, call, cancellationToken);
            }
            catch (AirtableException exception) when (exception.IsTooLarge && !isLast)
            {
                // One long cell must not keep the rows beside it from being read.
            }
        }
    }

    private Task<AirtableResponse> SendAsync(
        HttpMethod method, string path, JsonNode? body, CallPriority urgency, bool isRepeatable, CancellationToken cancellationToken) =>
        pipeline.SendAsync(http, new AirtableCall(method, path, body, urgency, isRepeatable), cancellationToken);

    private string RowPath(string recordId) => $"{_rows}/{Uri.EscapeDataString(recordId)}";

    private static string[] Demand(string[] ids) => ids.Length is > 0 and <= MaximumWrite && ids.Distinct().Count() == ids.Length
        ? ids
        : throw new ArgumentException($"A write is of 1 to {MaximumWrite} different rows.");

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
