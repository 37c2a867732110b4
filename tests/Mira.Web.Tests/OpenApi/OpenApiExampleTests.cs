using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.OpenApi;

/// <summary>
/// Each example of the document is sent to a real host, and what comes back is what the document shows.
/// </summary>
internal sealed partial class OpenApiExampleTests
{
    private const string KeyId = "mira_key_4fZq0TbLw9Xe";

    /// <summary>The life of the one key that all examples are about.</summary>
    private static readonly string[] Order =
    [
        "GetHealth", "GetLiveness", "GetReadiness", "GetCacheStats", "CreateKey", "GetKey", "ListKeys", "ValidateKey", "VerifyKey", "ForwardAuth", "ForwardAuthHead",
        "ForwardAuthPost", "UpdateKey", "RotateKey", "ListAuditEvents", "RevokeKey", "ExportAuditEvents", "GetAuditPublicKey",
    ];

    private readonly JsonNode _document = JsonNode.Parse(RepositoryFiles.Read("docs", "openapi.json"))!;

    private string _token = "";

    [Test]
    public async Task Every_example_is_answered_as_the_document_shows()
    {
        await using var host = MiraHost.Start(settings: [("RATE_LIMIT_OPERATOR", "200")]);
        var operations = Operations().ToDictionary(operation => operation.Body["operationId"]!.GetValue<string>());
        Assert.That(operations.Keys, Is.EquivalentTo(Order), "every operation has its turn");
        foreach (var (method, path, operation) in Order.Select(id => operations[id]))
        {
            // The key itself where any key may ask, else the first admin; nobody where nobody has to be.
            var token = operation["security"]!.AsArray().Count == 0 ? null
                : operation["description"]!.GetValue<string>().Contains("any valid key", StringComparison.Ordinal) ? _token : host.Admin;
            var response = operation["responses"]!.AsObject().First();
            var answer = await CallAsync(host.Http(token), method, path, operation);
            Assert.That($"{(int)answer.Status}", Is.EqualTo(response.Key), $"{method} {path}: {answer.Text}");
            if (response.Value!["content"]?["application/json"]?["example"] is { } example)
                Compare(example, answer, $"{method} {path}");
            foreach (var (name, header) in response.Value["headers"]?.AsObject() ?? [])
                Assert.That(Masked(answer.Header(name)), Is.EqualTo(Masked(header!["example"]!.GetValue<string>())), name);
        }
    }

    [Test]
    public void Every_operation_that_answers_json_has_an_example() => Assert.That(
        Operations().SelectMany(operation => operation.Body["responses"]!.AsObject().Where(response => response.Key[0] == '2' && response.Value!["content"]?["application/json"] is { } json && json["example"] is null).Select(_ => operation.Path)),
        Is.Empty);

    private async Task<Reply> CallAsync(HttpClient http, string method, string path, JsonNode operation)
    {
        var target = path;
        var query = new List<string>();
        var headers = new List<(string, string)> { ("User-Agent", "curl/8.5.0") };
        foreach (var parameter in operation["parameters"]?.AsArray().Where(parameter => parameter!["example"] is not null) ?? [])
        {
            var name = parameter!["name"]!.GetValue<string>();
            var value = Real(parameter["example"] is JsonArray list ? list.Single()!.ToString() : parameter["example"]!.ToString());
            switch (parameter["in"]!.GetValue<string>())
            {
                case "path":
                    target = target.Replace($"{{{name}}}", value, StringComparison.Ordinal);
                    break;
                case "query":
                    query.Add($"{name}={WebUtility.UrlEncode(value)}");
                    break;
                default:
                    headers.Add((name, value));
                    break;
            }
        }

        var body = operation["requestBody"]?["content"]?["application/json"]?["example"]?.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        return await http.CallAsync(method, query.Count == 0 ? target : $"{target}?{string.Join('&', query)}", body is null ? null : Real(body), headers: [.. headers]);
    }

    private void Compare(JsonNode example, Reply answer, string call)
    {
        if (answer.Json.TryGetProperty("api_key", out var token))
            _token = token.GetString()!;
        Assert.That(Masked(JsonNode.Parse(answer.Text))!.ToJsonString(), Is.EqualTo(Masked(example.DeepClone())!.ToJsonString()), call);
    }

    private string Real(string text) => _token.Length == 0
        ? text
        : text.Replace($"{KeyId}_…", _token, StringComparison.Ordinal).Replace(KeyId, MiraHost.IdOf(_token), StringComparison.Ordinal);

    // What differs from host to host and from day to day is replaced by its kind.
    private static JsonNode? Masked(JsonNode? node) => node switch
    {
        JsonObject fields => new JsonObject(fields.Select(field => KeyValuePair.Create(field.Key, field.Key == "last_used_at" ? "a time or null" : Masked(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Masked)]),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => "a number",
        JsonValue value when value.GetValueKind() == JsonValueKind.String => Masked(value.GetValue<string>()),
        _ => node?.DeepClone(),
    };

    private static string? Masked(string? text) => text switch
    {
        null => null,
        _ when Time().IsMatch(text) => "a time",
        _ when Token().IsMatch(text) => "a token",
        _ when Id().IsMatch(text) => "a key id",
        _ when Hash().IsMatch(text) => "a hash",
        _ when Correlation().IsMatch(text) => "a correlation id",
        _ => text,
    };

    private IEnumerable<(string Method, string Path, JsonNode Body)> Operations() =>
        from path in _document["paths"]!.AsObject()
        from operation in path.Value!.AsObject()
        select (operation.Key.ToUpperInvariant(), path.Key, operation.Value!);

    [GeneratedRegex(@"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z")]
    private static partial Regex Time();

    [GeneratedRegex(@"\Amira_key_[0-9A-Za-z]{12}_([0-9A-Za-z]{49}|…)\z")]
    private static partial Regex Token();

    [GeneratedRegex(@"\Amira_key_[0-9A-Za-z]{12}\z")]
    private static partial Regex Id();

    [GeneratedRegex(@"\A[0-9a-f]{64}\z")]
    private static partial Regex Hash();

    [GeneratedRegex(@"\A[0-9a-z]{20}\z")]
    private static partial Regex Correlation();
}
