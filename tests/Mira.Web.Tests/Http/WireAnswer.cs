using System.Net.Http.Headers;
using System.Text.Json;

namespace Mira.Web.Tests.Http;

/// <summary>An answer as it came, over whichever client: status, headers and the whole body.</summary>
internal sealed record WireAnswer(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    private static readonly string[] ProblemProperties = ["type", "title", "status", "detail", "code", "trace_id"];
    private static readonly string[] Internals = ["System.", "Microsoft.", "Mira.", "   at ", "/work", "/tmp", "/src/", "SELECT", "SQLite", "Exception"];

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    public string? Code => Json.GetProperty("code").GetString();

    public static async Task<WireAnswer> OfAsync(Task<HttpResponseMessage> sending)
    {
        using var message = await sending;
        var headers = Flatten(message.Headers.NonValidated).Concat(Flatten(message.Content.Headers.NonValidated));
        return new WireAnswer((int)message.StatusCode, [.. headers], await message.Content.ReadAsStringAsync());
    }

    /// <summary>Null when it is not there.</summary>
    public string? Header(string name)
    {
        var values = Headers.Where(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(header => header.Value).ToList();
        return values.Count == 0 ? null : string.Join(", ", values);
    }

    /// <summary>The properties of a JSON object, in the order they came.</summary>
    public IEnumerable<string> Properties() => Json.EnumerateObject().Select(property => property.Name);

    /// <summary>Demands the one form that every error has.</summary>
    public WireAnswer ShouldBeProblem(int status, string code)
    {
        Assert.That(Status, Is.EqualTo(status), Body);
        Assert.That(Header("Content-Type"), Is.EqualTo("application/problem+json"));
        var json = Json;
        Assert.That(Properties().Where(name => name != "errors"), Is.EqualTo(ProblemProperties), Body);
        Assert.That(json.GetProperty("code").GetString(), Is.EqualTo(code), Body);
        Assert.That(json.GetProperty("type").GetString(), Is.EqualTo($"urn:mira:problem:{code}"));
        Assert.That(json.GetProperty("status").GetInt32(), Is.EqualTo(status));
        Assert.That(json.GetProperty("title").GetString(), Is.Not.Empty);
        Assert.That(json.GetProperty("detail").GetString(), Is.Not.Empty);
        Assert.That(json.GetProperty("trace_id").GetString(), Is.Not.Empty);
        Assert.That(json.TryGetProperty("errors", out _) && status != 400, Is.False, "errors belong to 400 alone");
        Assert.That(Internals.Where(text => Body.Contains(text, StringComparison.Ordinal)), Is.Empty, Body);
        return ShouldHaveCommonHeaders();
    }

    /// <summary>Demands what every answer bears, and what none does.</summary>
    public WireAnswer ShouldHaveCommonHeaders()
    {
        Assert.That(Header("X-Correlation-ID"), Does.Match("^[A-Za-z0-9._-]{1,64}$"));
        Assert.That(Header("X-Content-Type-Options"), Is.EqualTo("nosniff"));
        Assert.That(Header("Cache-Control"), Is.EqualTo("no-store"));
        Assert.That(Header("Server"), Is.Null);
        Assert.That(Header("X-Powered-By"), Is.Null);
        return this;
    }

    private static IEnumerable<(string, string)> Flatten(HttpHeadersNonValidated headers) =>
        headers.SelectMany(header => header.Value.Select(value => (header.Key, value)));
}
