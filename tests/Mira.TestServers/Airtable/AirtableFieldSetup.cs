using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mira.TestServers.Airtable;

/// <summary>A field of a table of the stand-in.</summary>
public sealed record AirtableFieldSetup(string Id, string Name, string Type, JsonObject? Options)
{
    private const int LongestText = 100_000;

    /// <summary>What the metadata API does not make.</summary>
    private static readonly string[] Uncreatable =
    [
        "formula", "createdTime", "lastModifiedTime", "autoNumber", "button", "rollup", "count", "lookup", "multipleLookupValues", "createdBy",
        "lastModifiedBy", "aiText", "externalSyncSource",
    ];

    private static readonly string[] Creatable =
    [
        "singleLineText", "multilineText", "richText", "email", "url", "phoneNumber", "number", "singleSelect", "multipleSelects", "checkbox", "date", "dateTime",
    ];

    private static readonly string[] Primary = ["singleLineText", "multilineText", "email", "url", "phoneNumber", "number", "date", "dateTime"];

    /// <summary>Takes a definition as the metadata API does.</summary>
    public static AirtableFieldSetup Create(JsonObject? definition, string table, bool isPrimary)
    {
        if (definition?["name"] is not JsonValue nameValue || !nameValue.TryGetValue(out string? name) || name.Trim().Length == 0)
            throw AirtableRefusal.Unprocessable("DUPLICATE_OR_EMPTY_FIELD_NAME", "Field names must be unique and not empty");
        if (definition["type"] is not JsonValue typeValue || !typeValue.TryGetValue(out string? type))
            throw AirtableRefusal.Invalid();
        if (Uncreatable.Contains(type))
            throw AirtableRefusal.Unprocessable("UNSUPPORTED_FIELD_TYPE_FOR_CREATE", $"Invalid options for {table}.{name}: Creating {type} fields is not supported at this time");
        if (!Creatable.Contains(type) || (isPrimary && !Primary.Contains(type)))
            throw AirtableRefusal.Invalid();

        var options = definition["options"] as JsonObject;
        var lacking = type switch
        {
            "number" => Lacks(options, "precision"),
            "singleSelect" or "multipleSelects" => Lacks(options, "choices"),
            "checkbox" => Lacks(options, "icon", "color"),
            "date" => Lacks(options, "dateFormat"),
            "dateTime" => Lacks(options, "timeZone", "dateFormat", "timeFormat"),
            _ => options is null ? null : "no options",
        };
        if (lacking is not null)
            throw AirtableRefusal.Unprocessable("INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", $"Failed schema validation: {name}.{lacking}");
        if (type == "dateTime" && (string?)options!["timeZone"] is not ("utc" or "client" or "Europe/Berlin"))
            throw AirtableRefusal.Unprocessable("INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE", $"Invalid timezone \"{options["timeZone"]}\"");

        var kept = options?.DeepClone() as JsonObject;
        foreach (var choice in kept?["choices"] as JsonArray ?? [])
            choice!["id"] = AirtableIds.New("sel");
        return new AirtableFieldSetup(AirtableIds.New("fld"), name, type, kept);
    }

    /// <summary>What a cell of this field holds when it is given this.</summary>
    /// <returns>Null for an empty cell.</returns>
    internal JsonNode? Take(JsonNode? value, bool typecast)
    {
        if (value is null || (value is JsonValue empty && empty.TryGetValue(out string? nothing) && nothing.Length == 0))
            return null;

        return Type switch
        {
            _ when Uncreatable.Contains(Type) =>
                throw AirtableRefusal.Unprocessable("INVALID_VALUE_FOR_COLUMN", $"Field \"{Name}\" cannot accept a value because the field is computed"),
            "number" => value.GetValueKind() == JsonValueKind.Number ? value.DeepClone() : throw AirtableRefusal.BadValue(Name),
            "checkbox" => value.GetValueKind() == JsonValueKind.True ? true : value.GetValueKind() == JsonValueKind.False ? null : throw AirtableRefusal.BadValue(Name),
            "singleSelect" => TakeChoice(Text(value), typecast),
            "multipleSelects" => value is JsonArray chosen
                ? new JsonArray([.. chosen.Select(choice => TakeChoice(Text(choice), typecast))])
                : throw AirtableRefusal.BadValue(Name),
            "date" or "dateTime" => TakeTime(Text(value)),
            _ => Text(value).Length <= LongestText ? Text(value) : throw AirtableRefusal.BadValue(Name),
        };
    }

    internal JsonObject ToJson()
    {
        var json = new JsonObject { ["id"] = Id, ["name"] = Name, ["type"] = Type };
        if (Options is not null)
            json["options"] = Options.DeepClone();
        return json;
    }

    private static string? Lacks(JsonObject? options, params string[] names) =>
        options is null ? "options is missing" : names.FirstOrDefault(name => options[name] is null) is { } lacking ? $"options.{lacking} is missing" : null;

    private string Text(JsonNode? value) =>
        value is JsonValue text && text.TryGetValue(out string? found) ? found : throw AirtableRefusal.BadValue(Name);

    private JsonValue TakeTime(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? JsonValue.Create(time.UtcDateTime.ToString(Type == "date" ? "yyyy-MM-dd" : "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture))
            : throw AirtableRefusal.BadValue(Name);

    private JsonValue TakeChoice(string text, bool typecast)
    {
        var choices = (JsonArray)Options!["choices"]!;
        if (!choices.Any(choice => (string?)choice!["name"] == text))
        {
            if (!typecast)
                throw AirtableRefusal.Unprocessable("INVALID_MULTIPLE_CHOICE_OPTIONS", $"Insufficient permissions to create new select option \"\"{text}\"\"");
            choices.Add(new JsonObject { ["id"] = AirtableIds.New("sel"), ["name"] = text });
        }

        return JsonValue.Create(text);
    }
}

/// <summary>Ids as Airtable forms them: three letters that say of what, and fourteen letters or digits.</summary>
internal static class AirtableIds
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    public static string New(string kind) => kind + System.Security.Cryptography.RandomNumberGenerator.GetString(Alphabet, 14);
}
