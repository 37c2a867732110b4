using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// What Airtable answered, taken only when it is what Airtable answers: 200, JSON, of a bounded size.
/// </summary>
/// <param name="ServedAt">Its <c>Date</c>; null when it had none.</param>
internal sealed partial record AirtableResponse(JsonObject Body, DateTimeOffset? ServedAt)
{
    /// <summary>Far above a page of a hundred rows as Mira writes them.</summary>
    public const int MaximumBytes = 8 * 1024 * 1024;

    private const string MonthIsUsedUp = "PUBLIC_API_BILLING_LIMIT_EXCEEDED";

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    /// <exception cref="AirtableException">It is a refusal, or no answer of Airtable's.</exception>
    public static async Task<AirtableResponse> ReadAsync(HttpResponseMessage response, CallPriority urgency, TimeProvider clock, CancellationToken cancellationToken)
    {
        await response.Content.LoadIntoBufferAsync(MaximumBytes, cancellationToken);
        var body = Parse(response.Content.Headers.ContentType?.MediaType, await response.Content.ReadAsByteArrayAsync(cancellationToken));
        if (response.StatusCode != HttpStatusCode.OK)
            throw Refusal(response, body, urgency, clock);

        return body is null ? throw Nonsense("what is no JSON object", HttpStatusCode.OK) : new AirtableResponse(body, response.Headers.Date);
    }

    /// <summary>Something came that Airtable does not send; what became of a change is unknown.</summary>
    public static AirtableException Nonsense(string what, HttpStatusCode? status = null, Exception? inner = null) =>
        new($"answered {what}", DeliveryState.Unknown, inner) { Status = status, IsPassing = true };

    private static JsonObject? Parse(string? mediaType, byte[] bytes)
    {
        if (mediaType != "application/json")
            return null;

        try
        {
            return JsonNode.Parse(SurrogateRepair.Mend(Encoding.UTF8.GetString(bytes)), documentOptions: Strict) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static AirtableException Refusal(HttpResponseMessage response, JsonObject? body, CallPriority urgency, TimeProvider clock)
    {
        var status = response.StatusCode;
        var type = ErrorType(body);
        var isTooMany = status == HttpStatusCode.TooManyRequests;
        // An error page may come from anything between here and Airtable; only Airtable's own word is a refusal.
        var isRefused = isTooMany || status == HttpStatusCode.RequestEntityTooLarge
            || ((int)status is >= 400 and < 500 && status != HttpStatusCode.RequestTimeout && type is not null);
        return new AirtableException($"answered {(int)status}{(type is null ? "" : $" {type}")}", isRefused ? DeliveryState.NotSent : DeliveryState.Unknown)
        {
            Status = status,
            ErrorType = type,
            RetryAfter = RetryAfter(response, clock),
            // A change does not wait for the end of a lock-out, and nothing waits for the end of the month.
            IsPassing = isTooMany
                ? urgency == CallPriority.Background && type != MonthIsUsedUp
                : status == HttpStatusCode.RequestTimeout || (int)status >= 500,
        };
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider clock) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date > clock.GetUtcNow() ? date - clock.GetUtcNow() : TimeSpan.Zero,
        _ => null,
    };

    /// <summary>Airtable names an error in three ways: an object, a word, or a list.</summary>
    private static string? ErrorType(JsonObject? body)
    {
        var error = body?["error"] ?? (body?["errors"] as JsonArray)?.FirstOrDefault();
        if (error is JsonObject details)
            error = details["type"] ?? details["error"];
        return error is JsonValue value && value.TryGetValue(out string? text) && Word().IsMatch(text) ? text : null;
    }

    // Only what looks like one of Airtable's own words gets into messages.
    [GeneratedRegex(@"^[A-Z][A-Z_]{0,63}\z")]
    private static partial Regex Word();
}
