using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Json.Schema;

namespace Mira.Web.Tests.Hosts;

/// <summary>
/// Holds answers to an OpenAPI document: their status, media type and problem code must be described, and their body
/// must be as its schema says, without a property that is not described.
/// </summary>
internal sealed partial class DescribedAnswers(JsonNode document)
{
    private const string Forward = "/api/auth/forward";
    private const string ProblemType = "application/problem+json";

    private static readonly EvaluationOptions Evaluation = new() { RequireFormatValidation = true, OutputFormat = OutputFormat.List };
    private static readonly Lazy<DescribedAnswers> Document = new(() => new DescribedAnswers(JsonNode.Parse(RepositoryFiles.Read("docs", "openapi.json"))!));

    private readonly (string Path, Regex Form, JsonObject Operations)[] _paths =
    [
        .. document["paths"]!.AsObject()
            .Select(path => (path.Key, new Regex($"^{Parameter().Replace(path.Key, "[^/]+")}$"), path.Value!.AsObject()))
            // What is written out comes before what is a parameter.
            .OrderBy(path => path.Key.Contains('{', StringComparison.Ordinal)),
    ];

    private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new();
    private readonly JsonObject _definitions = JsonSchemas(document["components"]!["schemas"]!.AsObject());

    /// <summary>The committed document.</summary>
    public static DescribedAnswers Committed => Document.Value;

    /// <exception cref="AssertionException">The document does not describe this answer.</exception>
    public static void Hold(string method, string target, int status, string? contentType, string body)
    {
        if (Committed.FaultOf(method, target, status, contentType, body) is { } fault)
            throw new AssertionException($"{method} {target} was answered with what docs/openapi.json does not describe: {fault}\n{status} {contentType}\n{body}");
    }

    /// <summary>What the document does not say of this answer; null when it says all of it.</summary>
    public string? FaultOf(string method, string target, int status, string? contentType, string body)
    {
        var path = target.Split('?')[0];
        if (path.StartsWith(Forward + "/", StringComparison.OrdinalIgnoreCase))
            path = Forward;
        var type = contentType is null ? null : MediaTypeHeaderValue.Parse(contentType).MediaType;
        var operation = OperationOf(path, method);
        if (operation is null)
        {
            // No call of the API: another page, a preflight, or a problem of who asks for what is not there.
            if (type == ProblemType && method != "HEAD")
                return BodyFault(new JsonObject { ["$ref"] = "#/components/schemas/Problem" }, body);
            return status < 400 && path.StartsWith("/api/", StringComparison.Ordinal) && method != "OPTIONS" ? "no such operation" : null;
        }

        if (operation["responses"]![$"{status}"] is not { } response)
            return "no such status";
        if (type == ProblemType && method != "HEAD" && CodeFault(response, body) is { } unknown)
            return unknown;
        if (response["content"] is not JsonObject contents || method == "HEAD")
            return body.Length == 0 ? null : "no body";
        if (type is null || contents[type] is not { } content)
            return "no such media type";
        return type.EndsWith("json", StringComparison.Ordinal) && type != "application/x-ndjson" ? BodyFault(content["schema"]!, body) : null;
    }

    private JsonNode? OperationOf(string path, string method)
    {
        foreach (var (described, form, operations) in _paths.Where(candidate => candidate.Form.IsMatch(path)))
        {
            if (operations[method.ToLowerInvariant()] is { } operation)
                return operation;
            if (method == "HEAD" || described == Forward)
                return operations["get"];
        }

        return null;
    }

    private static string? CodeFault(JsonNode response, string body)
    {
        var code = JsonNode.Parse(body)!["code"]!.GetValue<string>();
        var described = response["description"]!.GetValue<string>();
        return Regex.IsMatch(described, $@"\b{Regex.Escape(code)}\b") ? null : $"no such code: {code}";
    }

    private string? BodyFault(JsonNode schema, string body)
    {
        var compiled = _schemas.GetOrAdd(schema.ToJsonString(), _ => Compile(schema));
        EvaluationResults results;
        lock (compiled)
            results = compiled.Evaluate(JsonNode.Parse(body), Evaluation);
        return results.IsValid
            ? null
            : string.Join("; ", results.Details.Where(detail => detail.Errors is not null)
                .SelectMany(detail => detail.Errors!.Select(error => $"{detail.InstanceLocation} {error.Value}")));
    }

    private JsonSchema Compile(JsonNode schema)
    {
        var whole = JsonSchemas(new JsonObject { ["schema"] = schema.DeepClone() });
        return JsonSchema.FromText(new JsonObject { ["$defs"] = _definitions.DeepClone(), ["allOf"] = new JsonArray(whole["schema"]!.DeepClone()) }.ToJsonString());
    }

    private static JsonObject JsonSchemas(JsonObject schemas) =>
        new(schemas.Select(schema => KeyValuePair.Create(schema.Key, (JsonNode?)ToJsonSchema(schema.Value!.AsObject()))));

    // From the schemas of OpenAPI 3.0 to JSON Schema: null is a type of its own there. Objects are closed, so that what
    // is answered is described.
    private static JsonObject ToJsonSchema(JsonObject schema)
    {
        if (schema["$ref"] is { } reference)
            return new JsonObject { ["$ref"] = reference.GetValue<string>().Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal) };

        var made = new JsonObject();
        foreach (var (name, value) in schema)
        {
            made[name] = (name, value) switch
            {
                ("properties", JsonObject properties) => JsonSchemas(properties),
                ("items" or "additionalProperties" or "not", JsonObject inner) => ToJsonSchema(inner),
                ("allOf" or "oneOf" or "anyOf", JsonArray all) => new JsonArray([.. all.Select(one => ToJsonSchema(one!.AsObject()))]),
                ("type", JsonValue type) when schema["nullable"]?.GetValue<bool>() == true => new JsonArray(type.DeepClone(), "null"),
                _ => value?.DeepClone(),
            };
        }

        made.Remove("nullable");
        made.Remove("example");
        if (made.ContainsKey("properties"))
            made.TryAdd("additionalProperties", false);
        return made;
    }

    [GeneratedRegex(@"\\?\{[^}]*\}")]
    private static partial Regex Parameter();
}

/// <summary>Holds each answer that passes through it to the committed document.</summary>
internal sealed class DescribedAnswersHandler() : DelegatingHandler(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        // The server's parser refuses some by itself.
        if (!response.Headers.Contains("X-Correlation-ID"))
            return response;

        var type = response.Content.Headers.ContentType;
        var isRead = type?.MediaType is "application/json" or "application/problem+json";
        if (isRead)
            await response.Content.LoadIntoBufferAsync(cancellationToken);
        DescribedAnswers.Hold(
            request.Method.Method, request.RequestUri!.PathAndQuery, (int)response.StatusCode, type?.ToString(),
            isRead ? await response.Content.ReadAsStringAsync(cancellationToken) : "");
        return response;
    }
}
