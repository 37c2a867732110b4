using System.Text.Json.Nodes;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Airtable;

/// <summary>The table of keys: its fields, what is wrong with one that people made, and how it is made.</summary>
public static class TableSchema
{
    public const string KeyId = "key_id";
    public const string KeyHash = "key_hash";
    public const string Role = "role";
    public const string Name = "name";
    public const string Owner = "owner";
    public const string Status = "status";
    public const string CreatedAt = "created_at";
    public const string ExpiresAt = "expires_at";
    public const string LastUsed = "last_used";
    public const string Permissions = "permissions";
    public const string Metadata = "metadata";
    public const string RateLimit = "rate_limit";
    public const string AllowedIps = "allowed_ips";
    public const string RevokedAt = "revoked_at";
    public const string Version = "version";
    public const string Mac = "mac";

    public const string Active = "active";
    public const string Disabled = "disabled";
    public const string Revoked = "revoked";

    private const string Line = "singleLineText";
    private const string LongText = "multilineText";
    private const string Select = "singleSelect";
    private const string Time = "dateTime";
    private const string Number = "number";

    /// <summary>All of them, in the order in which a new table shows them; the first is its primary field.</summary>
    public static IReadOnlyList<AirtableField> Fields { get; } =
    [
        new(KeyId, Line, []),
        new(KeyHash, LongText, []),
        new(Role, Select, Roles.Names),
        new(Name, Line, []),
        new(Owner, Line, []),
        new(Status, Select, [Active, Disabled, Revoked]),
        new(CreatedAt, Time, []),
        new(ExpiresAt, Time, []),
        new(LastUsed, Time, []),
        new(Permissions, LongText, []),
        new(Metadata, LongText, []),
        new(RateLimit, Number, []),
        new(AllowedIps, LongText, []),
        new(RevokedAt, Time, []),
        new(Version, Number, []),
        new(Mac, Line, []),
    ];

    /// <summary>
    /// What keeps a table from holding keys: a line for each field that is missing or of the wrong type. More fields
    /// than these do no harm.
    /// </summary>
    /// <param name="table">Null when there is none.</param>
    public static IReadOnlyList<string> Problems(TableDescription? table) => table is null
        ? ["the table is missing"]
        : [.. Fields.Select(field => Problem(field, Find(table, field))).OfType<string>()];

    /// <summary>Makes the table, or adds the fields it lacks. A field of the wrong type is left as it is.</summary>
    /// <returns>What was done, a line each; nothing when there was nothing to do.</returns>
    public static async Task<IReadOnlyList<string>> CreateTableAsync(AirtableClient client, CancellationToken cancellationToken)
    {
        if (await client.FindTableAsync(cancellationToken) is not { } table)
        {
            await client.CreateTableAsync(cancellationToken);
            return [$"made the table with {Fields.Count} fields"];
        }

        string[] missing = [.. Fields.Where(field => Find(table, field) is null).Select(field => field.Name)];
        await client.AddFieldsAsync(table, missing, cancellationToken);
        return [.. missing.Select(name => $"added the field {name}")];
    }

    internal static JsonObject ToJson(this AirtableField field)
    {
        var json = new JsonObject { ["name"] = field.Name, ["type"] = field.Type };
        if (Options(field) is { } options)
            json["options"] = options;
        return json;
    }

    private static JsonObject? Options(AirtableField field) => field.Type switch
    {
        Select => new JsonObject { ["choices"] = new JsonArray([.. field.Choices.Select(choice => new JsonObject { ["name"] = choice })]) },
        Number => new JsonObject { ["precision"] = 0 },
        Time => new JsonObject
        {
            ["timeZone"] = "utc",
            ["dateFormat"] = new JsonObject { ["name"] = "iso" },
            ["timeFormat"] = new JsonObject { ["name"] = "24hour" },
        },
        _ => null,
    };

    private static AirtableField? Find(TableDescription table, AirtableField field) => table.Fields.FirstOrDefault(other => other.Name == field.Name);

    private static string? Problem(AirtableField wanted, AirtableField? found)
    {
        if (found is null)
            return $"{wanted.Name} is missing";

        var isText = found.Type is Line or LongText;
        var isRight = wanted.Type is Line or LongText ? isText : found.Type == wanted.Type || (wanted.Type == Select && isText);
        if (!isRight)
            return $"{wanted.Name} is of type {found.Type}, and must be {Demanded(wanted)}";

        string[] lacking = found.Type == Select ? [.. wanted.Choices.Except(found.Choices)] : [];
        return lacking.Length > 0 ? $"{wanted.Name} lacks {(lacking.Length == 1 ? "the choice" : "the choices")} {string.Join(", ", lacking)}" : null;
    }

    private static string Demanded(AirtableField field) => field.Type switch
    {
        Line or LongText => $"{Line} or {LongText}",
        Select => $"{Select} with {string.Join(", ", field.Choices)}",
        _ => field.Type,
    };
}
