using System.Text.Json.Nodes;

namespace Mira.Domain.Ledger;

/// <summary>
/// What an operation did to a key, for the ledger: recorded with the change itself, so that neither can be without the
/// other.
/// </summary>
public sealed record KeyEvent(string Type, string? Reason, IReadOnlyList<FieldChange> Changes)
{
    public string Outcome { get; init; } = "success";
}

/// <summary>One named field before and after. Never a digest or a secret.</summary>
public sealed record FieldChange(string Field, JsonNode? From, JsonNode? To)
{
    public static FieldChange Of(string field, string? from, string? to) => new(field, from, to);

    public static FieldChange Of(string field, int? from, int? to) => new(field, from, to);

    public static FieldChange Of(string field, bool from, bool to) => new(field, from, to);

    public static FieldChange Of(string field, DateTimeOffset? from, DateTimeOffset? to) =>
        new(field, from is null ? null : Rfc3339.Format(from.Value), to is null ? null : Rfc3339.Format(to.Value));

    public static FieldChange Of(string field, IEnumerable<string> from, IEnumerable<string> to) => new(field, ToArray(from), ToArray(to));

    public static FieldChange Of(string field, IReadOnlyDictionary<string, string> from, IReadOnlyDictionary<string, string> to) =>
        new(field, ToObject(from), ToObject(to));

    private static JsonArray ToArray(IEnumerable<string> values) => new([.. values.Select(value => JsonValue.Create(value))]);

    private static JsonObject ToObject(IReadOnlyDictionary<string, string> pairs) =>
        new(pairs.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value)));
}
