using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mira.Web.Requests;

namespace Mira.Web.Problems;

/// <summary>Writes a problem as <c>application/problem+json</c>.</summary>
public static class ProblemAnswer
{
    public const string ContentType = "application/problem+json";

    private static readonly ConcurrentDictionary<(ProblemKind Kind, int Status), byte[]> Plain = new();

    private static ReadOnlySpan<byte> End => "\"}"u8;

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

        var answer = new ArrayBufferWriter<byte>(512);
        if (problem is { Detail: null, Errors: null })
            WritePlain(answer, kind, status, TraceIdOf(context));
        else
            Write(answer, problem, status, TraceIdOf(context));
        response.ContentLength = answer.WrittenCount;
        await response.Body.WriteAsync(answer.WrittenMemory);
    }

    public static string TraceIdOf(HttpContext context) => Activity.Current?.TraceId.ToHexString() ?? context.TraceIdentifier;

    // All of it but the trace id is the same each time; floods of bad keys are answered like this.
    private static void WritePlain(ArrayBufferWriter<byte> answer, ProblemKind kind, int status, string traceId)
    {
        answer.Write(Plain.GetOrAdd((kind, status), static key =>
        {
            var whole = new ArrayBufferWriter<byte>();
            Write(whole, key.Kind, key.Status, "");
            return whole.WrittenSpan[..^End.Length].ToArray();
        }));
        Encoding.UTF8.GetBytes(traceId, answer);
        answer.Write(End);
    }

    private static void Write(IBufferWriter<byte> answer, Problem problem, int status, string traceId)
    {
        using var json = new Utf8JsonWriter(answer);
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
