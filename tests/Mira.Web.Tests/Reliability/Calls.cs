using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// One call and its whole answer. What is torn off before its last byte is no answer, but an
/// <see cref="HttpRequestException"/>.
/// </summary>
internal static class Calls
{
    public const string Validate = "/api/auth/validate";

    /// <summary>These tests ask faster than any limit allows.</summary>
    public static readonly (string Name, string Value) NoLimits = ("RATE_LIMIT_ENABLED", "false");

    public static Task<Answer> GetAsync(HttpClient http, string path, string? token = null) => SendAsync(http, HttpMethod.Get, path, token: token);

    public static Task<Answer> PostAsync(HttpClient http, string path, string? body = null, string? repeat = null, string? ifMatch = null) =>
        SendAsync(http, HttpMethod.Post, path, body, repeat: repeat, ifMatch: ifMatch);

    public static Task<Answer> PatchAsync(HttpClient http, string path, string body, string mediaType = "application/json") =>
        SendAsync(http, HttpMethod.Patch, path, body, mediaType);

    public static Task<Answer> DeleteAsync(HttpClient http, string path) => SendAsync(http, HttpMethod.Delete, path);

    private static async Task<Answer> SendAsync(
        HttpClient http, HttpMethod method, string path, string? body = null, string mediaType = "application/json", string? token = null,
        string? repeat = null, string? ifMatch = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, mediaType);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (repeat is not null)
            request.Headers.Add("Idempotency-Key", repeat);
        if (ifMatch is not null)
            request.Headers.Add("If-Match", ifMatch);

        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new Answer(response.StatusCode, JsonNode.Parse(text)!.AsObject(), response.Headers.ETag?.Tag, response.Headers.Contains("Idempotency-Replayed"));
    }
}

internal sealed record Answer(HttpStatusCode Status, JsonObject Body, string? ETag, bool IsReplayed)
{
    public string? Code => Text("code");

    public string? Text(string name) => (string?)Body[name];

    public int Number(string name) => (int)Body[name]!;

    public IEnumerable<JsonNode> Items(string name) => Body[name]!.AsArray().Select(item => item!);

    /// <exception cref="AssertionException">It has another status.</exception>
    public Answer Demand(HttpStatusCode status)
    {
        Assert.That(Status, Is.EqualTo(status), Body.ToJsonString());
        return this;
    }

    public override string ToString() => $"{(int)Status} {Code}";
}
