using System.Text.Json.Nodes;

namespace Mira.TestServers.Airtable;

/// <summary>An error as Airtable words it.</summary>
internal sealed class AirtableRefusal(int status, string word, string? text) : Exception
{
    public int Status { get; } = status;

    /// <summary>Airtable names errors in three ways.</summary>
    public JsonObject Body => (Status, text) switch
    {
        (429, _) => new JsonObject { ["errors"] = new JsonArray(new JsonObject { ["error"] = word, ["message"] = text }) },
        (_, null) => new JsonObject { ["error"] = word },
        _ => new JsonObject { ["error"] = new JsonObject { ["type"] = word, ["message"] = text } },
    };

    public static AirtableRefusal Unauthenticated() => new(401, "AUTHENTICATION_REQUIRED", "Authentication required");

    public static AirtableRefusal WrongToken() => new(401, "UNAUTHORIZED", "Invalid authentication token");

    public static AirtableRefusal NotPermitted() => new(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user and your token have the required permissions, and that the model names and/or ids are correct.");

    public static AirtableRefusal NoRoute() => new(404, "NOT_FOUND", null);

    public static AirtableRefusal NoRecord() => new(404, "MODEL_ID_NOT_FOUND", "Record not found");

    public static AirtableRefusal TooMany() => new(429, "RATE_LIMIT_REACHED", "Rate limit exceeded. Please try again later");

    public static AirtableRefusal MonthIsUsedUp() => new(
        429,
        "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
        "API billing plan limit exceeded. You've reached the maximum number of requests allowed for this month.");

    public static AirtableRefusal Invalid(string message = "Invalid request: parameter validation failed. Check your request data.") =>
        Unprocessable("INVALID_REQUEST_UNKNOWN", message);

    public static AirtableRefusal Unprocessable(string type, string message) => new(422, type, message);

    public static AirtableRefusal UnknownField(string name) => Unprocessable("UNKNOWN_FIELD_NAME", $"Unknown field name: \"{name}\"");

    public static AirtableRefusal BadValue(string field) =>
        Unprocessable("INVALID_VALUE_FOR_COLUMN", $"Field \"{field}\" cannot accept the provided value");
}
