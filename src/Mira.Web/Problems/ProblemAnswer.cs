using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Mira.Web.Authentication;

namespace Mira.Web.Problems;

/// <summary>Writes a problem as <c>application/problem+json</c>.</summary>
public static class ProblemAnswer
{
    public const string ContentType = "application/problem+json";

    public static async Task WriteAsync(HttpContext context, Problem problem)
    {
        var kind = problem.Kind;
        var status = context.GetEndpoint()?.Metadata.GetMetadata<ForwardAuthAttribute>() is null ? kind.Status : ForwardAuthAttribute.StatusOf(kind.Status);
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = ContentType;
        if (status == StatusCodes.Status401Unauthorized && response.Headers.WWWAuthenticate.Count == 0)
            response.Headers.WWWAuthenticate = Challenges.InvalidToken;
        if (problem.RetryAfter is { } seconds)
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);

        using var json = new MemoryStream();
        Write(json, problem, status, TraceIdOf(context));
        response.ContentLength = json.Length;
        await response.Body.WriteAsync(json.GetBuffer().AsMemory(0, (int)json.Length), context.RequestAborted);
    }

    public static string TraceIdOf(HttpContext context) => Activity.Current?.TraceId.ToHexString() ?? context.TraceIdentifier;

    private static void Write(Stream stream, Problem problem, int status, string traceId)
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteString("type", $"urn:mira:problem:{problem.Kind.Code}");
        json.WriteString("title", problem.Kind.Title);
        json.WriteNumber("status", status);
        json.WriteString("detail", problem.Detail ?? problem.Kind.Title);
        json.WriteString("code", problem.Kind.Code);
        json.WriteString("trace_id", traceId);
        if (problem.Errors is { } errors)
        {
            json.WriteStartObject("errors");
            foreach (var (field, messages) in errors)
            {
                json.WriteStartArray(field);
                foreach (var message in messages)
                    json.WriteStringValue(message);
                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }
}
