using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Edge;

/// <summary>
/// Several parts of the service answer before anybody is asked for a key. Each address is tried with every kind of
/// call, with and without a key, with and without what makes a call a preflight, and the table says who answered.
/// </summary>
internal sealed class WhoAnswersTests : SharedHostTests
{
    private const string Console = "https://console.example";

    private const string Forward = "missing_credentials, forward, missing_credentials, forward";
    private const string Climbed = "malformed_request, malformed_request, malformed_request, malformed_request";
    private const string Preflight = "missing_credentials, method_not_allowed, cors, cors";
    private const string PreflightToNothing = "missing_credentials, not_found, cors, cors";
    private const string Nothing = "missing_credentials, not_found, missing_credentials, not_found";
    private const string WrongMethod = "missing_credentials, method_not_allowed, missing_credentials, method_not_allowed";

    protected override (string Name, string Value)[] Settings =>
        [("CORS_ENABLED", "true"), ("CORS_ORIGINS", Console), ("MIRA_TRUSTED_PROXIES", "127.0.0.1")];

    /// <param name="answers">To a call without a key, to one with a key, and to the same two as preflights.</param>
    [TestCase("OPTIONS", "/api/auth/forward", Forward)]
    [TestCase("GET", "/api/auth/forward", Forward)]
    [TestCase("POST", "/api/auth/forward", Forward)]
    [TestCase("TRACE", "/api/auth/forward", Forward)]
    [TestCase("PROPFIND", "/api/auth/forward", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward/", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward//", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward/their/path?and=query", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward/swagger/", Forward)]
    [TestCase("OPTIONS", "/API/Auth/FORWARD/x", Forward)]
    [TestCase("OPTIONS", "/api/auth/%66orw%61rd", Forward)]
    [TestCase("OPTIONS", "/api/./auth/forward/%2e", Forward)]
    [TestCase("OPTIONS", "/x/../api/auth/forward/y", Forward)]
    [TestCase("OPTIONS", "/swagger/../api/auth/forward", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward/..%2f..%2fhealth", Forward)]
    [TestCase("OPTIONS", "http://mira/api/auth/forward", Forward)]
    [TestCase("OPTIONS", "/api/auth/forward/../../../health/live", Climbed)]
    [TestCase("GET", "/api/auth/forward/../../../health/live", Climbed)]
    [TestCase("GET", "/API/auth/forward/%2E%2e/validate", Climbed)]
    [TestCase("GET", "http://mira/api/auth/forward/../../../health/live", Climbed)]
    [TestCase("GET", "/api/auth/forward/../../../swagger/", Climbed)]
    [TestCase("GET", "/api/auth/forward/../../../metrics", Climbed)]
    [TestCase("OPTIONS", "/api/auth/forwards", PreflightToNothing)]
    [TestCase("OPTIONS", "/api/auth/forward%2Fx", PreflightToNothing)]
    [TestCase("OPTIONS", "/api//auth/forward", PreflightToNothing)]
    [TestCase("OPTIONS", "/nothing", PreflightToNothing)]
    [TestCase("OPTIONS", "*", PreflightToNothing)]
    [TestCase("OPTIONS", "/api/keys", Preflight)]
    [TestCase("OPTIONS", "/api/auth/validate", Preflight)]
    [TestCase("OPTIONS", "/health/live", Preflight)]
    [TestCase("OPTIONS", "/swagger/v1/swagger.json", Preflight)]
    [TestCase("OPTIONS", "/swagger/", "redirect, redirect, cors, cors")]
    [TestCase("OPTIONS", "/metrics", "metrics, metrics, cors, cors")]
    [TestCase("GET", "/api/auth/validate", "missing_credentials, validate, missing_credentials, validate")]
    [TestCase("HEAD", "/api/auth/validate", "401, 200, 401, 200")]
    [TestCase("CONNECT", "mira:80", Nothing)]
    [TestCase("GET", "/nothing", Nothing)]
    [TestCase("GET", "/appsettings.json", Nothing)]
    [TestCase("GET", "/swagger/../appsettings.json", Nothing)]
    [TestCase("GET", "/swagger/%2e%2e%2fappsettings.json", Nothing)]
    [TestCase("POST", "/health/live", WrongMethod)]
    [TestCase("POST", "/swagger/", "redirect, redirect, redirect, redirect")]
    [TestCase("POST", "/swagger/v1/swagger.json", WrongMethod)]
    [TestCase("GET", "/health/x", Nothing)]
    [TestCase("GET", "/metrics/x", Nothing)]
    [TestCase("GET", "/swagger/x", Nothing)]
    [TestCase("GET", "/", "redirect, redirect, redirect, redirect")]
    [TestCase("GET", "/health", "health, health, health, health")]
    [TestCase("GET", "/HEALTH/live/", "health, health, health, health")]
    [TestCase("GET", "/api/keys/../../health", "health, health, health, health")]
    [TestCase("GET", "/metrics", "metrics, metrics, metrics, metrics")]
    [TestCase("GET", "/swagger/", "redirect, redirect, redirect, redirect")]
    [TestCase("GET", "/swagger/index.html", "page, page, page, page")]
    [TestCase("GET", "/swagger/v1/swagger.json", "document, document, document, document")]
    public async Task Each_call_is_answered_by_whom_it_is_meant_for(string method, string target, string answers)
    {
        string[] preflight = [$"Origin: {Console}", "Access-Control-Request-Method: DELETE"];
        string[] key = [$"X-API-Key: {Mira.Admin}"];
        var seen = new List<string>();
        foreach (var headers in (string[][])[[], key, preflight, [.. key, .. preflight]])
            seen.Add(await WhoAsync(method, target, headers));
        Assert.That(string.Join(", ", seen), Is.EqualTo(answers));
    }

    [TestCase("Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")]
    [TestCase("Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")]
    [TestCase("X-Forwarded-For: unknown, \u00e9\nX-Forwarded-Proto: javascript\nX-Forwarded-Host: elsewhere")]
    [TestCase("X-HTTP-Method-Override: GET\nX-Original-URL: /health/live\nX-Rewrite-URL: /health/live")]
    [TestCase("X-Forwarded-Prefix: /x\nX-External-Path: /x\nX-Original-Path: /health")]
    [TestCase("Expect: 100-continue")]
    public async Task No_header_changes_who_answers(string lines)
    {
        var headers = lines.Split('\n');
        string[] key = [.. headers, $"X-API-Key: {Mira.Admin}"];
        foreach (var method in (string[])["GET", "OPTIONS", "POST"])
        {
            Assert.That(await WhoAsync(method, "/api/auth/forward", headers), Is.EqualTo("missing_credentials"), method);
            Assert.That(await WhoAsync(method, "/api/auth/forward", key), Is.EqualTo("forward"), method);
        }

        Assert.That(await WhoAsync("GET", "/api/auth/validate", headers), Is.EqualTo("missing_credentials"));
        Assert.That(await WhoAsync("GET", "/api/auth/validate", key), Is.EqualTo("validate"));
        Assert.That(await WhoAsync("GET", "/swagger/index.html", headers), Is.EqualTo("page"));
    }

    [TestCase("/api/auth/validate")]
    [TestCase("/api/auth/forward")]
    [TestCase("/nothing")]
    [TestCase("/health")]
    [TestCase("/metrics")]
    [TestCase("/swagger/")]
    [TestCase("/")]
    [TestCase("/api/auth/forward/../x")]
    public async Task Every_answer_says_that_it_depends_on_the_page(string path)
    {
        foreach (var origin in (string[])["X-No: origin", $"Origin: {Console}", "Origin: https://evil.example", "Origin: null"])
        {
            foreach (var method in (string[])["GET", "OPTIONS", "POST"])
            {
                var answer = await SendRawAsync($"{method} {path} HTTP/1.1\nHost: mira\nConnection: close\n{origin}\nAccess-Control-Request-Method: PATCH");
                Assert.That(answer.Header("Vary")?.Split(", ").Count(name => name == "Origin"), Is.EqualTo(1), $"{method} {origin}: {answer.Status}");
            }
        }
    }

    private async Task<string> WhoAsync(string method, string target, string[] headers)
    {
        var answer = await RawHttp.SendAsync(Mira.Address, [$"{method} {target} HTTP/1.1", $"Host: {(method == "CONNECT" ? target : "mira")}", "Connection: close", .. headers]);
        if (answer.Header("X-Correlation-ID") is null)
            return $"parser {answer.Status}";
        if (answer.Header("X-Mira-Key-Id") is not null)
            return "forward";
        return (answer.Status, answer.Header("Content-Type")) switch
        {
            (204, _) when answer.Header("Access-Control-Allow-Methods") is not null => "cors",
            (302, _) => "redirect",
            _ when method == "HEAD" => $"{answer.Status}",
            (_, "application/problem+json") => answer.Code!,
            (200, "text/html; charset=utf-8" or "text/html") => "page",
            (200, { } type) when type.StartsWith("text/plain", StringComparison.Ordinal) => "metrics",
            _ when answer.Body.Contains("\"openapi\"", StringComparison.Ordinal) => "document",
            _ when answer.Body.Contains("\"valid\":true", StringComparison.Ordinal) => "validate",
            _ when answer.Body.Contains("\"status\":\"healthy\"", StringComparison.Ordinal) => "health",
            _ => $"{answer.Status} {answer.Header("Content-Type")}",
        };
    }
}
