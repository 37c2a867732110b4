using System.Net;
using System.Text.Json.Nodes;

namespace Mira.Infrastructure.Airtable;

/// <summary>Reads Airtable's answers; one of another shape is no answer.</summary>
internal static class ResponseReader
{
    /// <summary>
    /// Airtable's words for a row that is not there. A missing table or base has others, and says nothing about rows.
    /// </summary>
    private static readonly string[] NoSuchRecord = ["NOT_FOUND", "MODEL_ID_NOT_FOUND", "ROW_DOES_NOT_EXIST"];

    public static bool IsMissingRecord(AirtableException exception) =>
        exception.Status == HttpStatusCode.NotFound && NoSuchRecord.Contains(exception.ErrorType);

    public static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    public static IReadOnlyList<AirtableRecord> Records(JsonObject body) =>
        body["records"] is JsonArray records ? [.. records.Select(Record)] : throw AirtableResponse.Nonsense("without records");

    /// <summary>What is no record does not take the others of its page with it.</summary>
    public static AirtableRecord Record(JsonNode? node)
    {
        var id = node is JsonObject record ? Text(record["id"]) ?? "" : "";
        return id.Length > 0 && node!["fields"] is JsonObject fields ? new AirtableRecord(id, Detached(node.AsObject(), fields)) : AirtableRecord.Unreadable(id);
    }

    /// <summary>
    /// For each row that was written what was answered of it; unreadable where that is nothing, or two.
    /// </summary>
    public static IReadOnlyList<AirtableRecord> InOrder(string[] ids, IReadOnlyList<AirtableRecord> records, Func<AirtableRecord, string?> idOf)
    {
        var found = records.Where(record => !record.IsUnreadable).ToLookup(idOf);
        return [.. ids.Select(id => found[id].Count() == 1 ? found[id].Single() : AirtableRecord.Unreadable(""))];
    }

    public static IReadOnlyList<TableDescription> Tables(JsonObject body) =>
        body["tables"] is JsonArray tables ? [.. tables.Select(Table)] : throw AirtableResponse.Nonsense("without tables");

    private static TableDescription Table(JsonNode? node) =>
        node is JsonObject table && Text(table["id"]) is { } id && Text(table["name"]) is { } name && table["fields"] is JsonArray fields
            ? new TableDescription(id, name, [.. fields.Select(Field)])
            : throw AirtableResponse.Nonsense("with a table that is none");

    private static AirtableField Field(JsonNode? node) =>
        node is JsonObject field && Text(field["name"]) is { } name && Text(field["type"]) is { } type
            ? new AirtableField(name, type, [.. Choices(field)])
            : throw AirtableResponse.Nonsense("with a field that is none");

    private static IEnumerable<string> Choices(JsonObject field) =>
        ((field["options"] as JsonObject)?["choices"] as JsonArray ?? []).Select(choice => Text((choice as JsonObject)?["name"])).OfType<string>();

    private static JsonObject Detached(JsonObject record, JsonObject fields)
    {
        record.Remove("fields");
        return fields;
    }
}
