using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

using Mira.Client;
namespace Mira.Web.Tests.Hosts;

/// <summary>An answer over HTTP, read whole, with its verdict in one word or two.</summary>
internal sealed record Reply(HttpStatusCode Status, string Text, IReadOnlyDictionary<string, string> Headers)
{
    public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Text);

    /// <summary>The problem's code; null when this is no problem.</summary>
    public string? Code =>
        Header("Content-Type")?.StartsWith("application/problem+json", StringComparison.Ordinal) == true ? Field("code") : null;

    /// <summary>Status and code in one, so that one assertion shows both.</summary>
    public string Verdict => Code is null ? $"{(int)Status}" : $"{(int)Status} {Code}";

    /// <summary>The fields a 400 blames.</summary>
    public IEnumerable<string> Blamed => Json.TryGetProperty("errors", out var errors) ? errors.EnumerateObject().Select(error => error.Name) : [];

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public string? Field(string name) => Json.GetProperty(name).ToString();
}

internal static class Calls
{
    public static async Task<Reply> CallAsync(
        this HttpClient http, string method, string path, string? body = null, string mediaType = "application/json",
        params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null)
            request.Content = MiraHost.Json(body, mediaType);
        foreach (var (name, value) in headers)
            Assert.That(request.Headers.TryAddWithoutValidation(name, value), Is.True, $"{name} was not sent");

        using var response = await http.SendAsync(request);
        var answered = response.Headers.Concat(response.Content.Headers)
            .ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase);
        return new Reply(response.StatusCode, await response.Content.ReadAsStringAsync(), answered);
    }

    /// <summary>
    /// Sends header lines as they are, which HttpClient would join, and gives back the whole answer as text.
    /// </summary>
    public static async Task<string> SendLinesAsync(this Uri address, string method, string path, params string[] lines)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port);
        await using var stream = client.GetStream();
        string[] request = [$"{method} {path} HTTP/1.1", $"Host: {address.Authority}", "Connection: close", .. lines, "", ""];
        await stream.WriteAsync(Encoding.Latin1.GetBytes(string.Join("\r\n", request)));
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }

    public static Task<Reply> ValidateAsync(this HttpClient http) => http.CallAsync("GET", "/api/auth/validate");

    /// <summary>Status and code of a typed call that must be refused.</summary>
    public static async Task<string> RefusalAsync(this Task call)
    {
        try
        {
            await call;
        }
        catch (MiraException<Problem> refusal)
        {
            return $"{refusal.StatusCode} {refusal.Result.Code}";
        }

        return "not refused";
    }
}
