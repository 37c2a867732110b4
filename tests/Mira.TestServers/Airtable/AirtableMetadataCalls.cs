using System.Text.Json.Nodes;

namespace Mira.TestServers.Airtable;

/// <summary>The calls of <c>/v0/meta/bases/{base}/tables</c>.</summary>
internal static class AirtableMetadataCalls
{
    public static JsonObject Tables(IEnumerable<AirtableSheet> sheets) => new() { ["tables"] = new JsonArray([.. sheets.Select(sheet => sheet.ToJson())]) };

    /// <param name="make">Makes a table of a name and fields that may be made.</param>
    public static JsonObject Create(IEnumerable<AirtableSheet> sheets, JsonObject? body, Func<string, IReadOnlyList<AirtableFieldSetup>, AirtableSheet> make)
    {
        if (body?["name"] is not JsonValue nameValue || !nameValue.TryGetValue(out string? name) || body["fields"] is not JsonArray { Count: > 0 } definitions)
            throw AirtableRefusal.Invalid();
        if (sheets.Any(sheet => string.Equals(sheet.Name, name, StringComparison.OrdinalIgnoreCase)))
            throw AirtableRefusal.Unprocessable("DUPLICATE_TABLE_NAME", $"A table with the name \"{name}\" already exists in this base");

        AirtableFieldSetup[] fields = [.. definitions.Select((field, index) => AirtableFieldSetup.Create(field as JsonObject, name, index == 0))];
        return fields.DistinctBy(field => field.Name, StringComparer.OrdinalIgnoreCase).Count() == fields.Length ? make(name, fields).ToJson() : throw Duplicate();
    }

    public static JsonObject AddField(AirtableSheet sheet, JsonObject? body)
    {
        var field = AirtableFieldSetup.Create(body, sheet.Name, isPrimary: false);
        if (sheet.Has(field.Name))
            throw Duplicate();
        sheet.Add(field);
        return field.ToJson();
    }

    private static AirtableRefusal Duplicate() => AirtableRefusal.Unprocessable("DUPLICATE_OR_EMPTY_FIELD_NAME", "Field names must be unique and not empty");
}
