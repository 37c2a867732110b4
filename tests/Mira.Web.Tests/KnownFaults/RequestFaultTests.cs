using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>What callers of the API wrote and were not told about, or were told the wrong thing about.</summary>
internal sealed class RequestFaultTests : SharedHostTests
{
    protected override (string Name, string Value)[] Settings => [("CORS_ENABLED", "true"), ("CORS_ORIGINS", "https://console.example")];

    /// <summary>The fault: a misspelt parameter was ignored.</summary>
    [TestCase("GET", "/api/keys", "Limit=1")]
    [TestCase("GET", "/api/keys", "limits=1")]
    [TestCase("GET", "/api/keys", "role=admin&statuss=active")]
    [TestCase("GET", "/api/keys", "q=a&Q=b")]
    [TestCase("GET", "/api/keys", "limit=1&limit=1")]
    [TestCase("GET", "/api/keys", "=1")]
    [TestCase("GET", "/api/keys", "role%20=admin")]
    [TestCase("GET", "/api/keys", "viewpoint=x")]
    [TestCase("GET", "/api/keys/mira_key_000000000000", "key_id=1")]
    [TestCase("DELETE", "/api/keys/mira_key_000000000000", "Reason=1")]
    [TestCase("DELETE", "/api/keys/mira_key_000000000000", "cancellationToken=1")]
    [TestCase("POST", "/api/keys", "name=a")]
    [TestCase("PATCH", "/api/keys/mira_key_000000000000", "name=a")]
    [TestCase("POST", "/api/keys/mira_key_000000000000/rotate", "grace_minutes=0")]
    [TestCase("POST", "/api/keys/verify", "cost=0")]
    [TestCase("GET", "/api/auth/validate", "x=1")]
    [TestCase("GET", "/api/keys/stats/cache", "x")]
    [TestCase("GET", "/api/audit", "foo=1")]
    [TestCase("GET", "/api/audit", "keyId=mira_key_000000000000")]
    [TestCase("GET", "/api/audit", "From=2030-01-01T00:00:00Z")]
    [TestCase("GET", "/api/audit/export", "form=2030-01-01T00:00:00Z")]
    [TestCase("GET", "/api/audit/export", "limit=1")]
    [TestCase("GET", "/api/audit/public-key", "x=1")]
    [TestCase("GET", "/health", "x=1")]
    [TestCase("GET", "/health/ready", "verbose=1")]
    public async Task A_misspelt_parameter_is_refused(string method, string path, string query)
    {
        var answer = await SendAsync(method, $"{path}?{query}", null, method is "POST" or "PATCH" ? MiraHost.Json(ValidKey) : null);
        answer.ShouldBeProblem(400, "invalid_parameter");
        Assert.That(answer.Json.GetProperty("errors").EnumerateObject().Count(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_parameter_of_any_name_is_told_without_its_secret()
    {
        var token = await Mira.NewKeyAsync("viewer");
        foreach (var name in (string[])[token, new string('x', 5_000), "%F0%9F%94%91", "%00", "%ED%A0%80", "%22%3Cb%3E", "a%0D%0Ab"])
        {
            var answer = (await SendAsync("GET", $"/api/keys?{name}=1")).ShouldBeProblem(400, "invalid_parameter");
            Assert.That(answer.Body, Has.Length.LessThan(1_000).And.Not.Contains(token));
        }
    }

    [TestCase("?")]
    [TestCase("?&")]
    [TestCase("?limit=1&")]
    [TestCase("?&&limit=1")]
    public async Task An_empty_part_of_a_query_is_none(string query) => Assert.That((await SendAsync("GET", $"/api/keys{query}")).Status, Is.EqualTo(200));

    /// <summary>The fault: a time with more than seven fraction digits was refused.</summary>
    [TestCase(".123456789Z", 200)]
    [TestCase(".1234567Z", 200)]
    [TestCase(".12345678901234567890123456789012345678901234567890Z", 200)]
    [TestCase(".1Z", 200)]
    [TestCase(".123456789%2B02:00", 200)]
    [TestCase(".000000000-02:00", 200)]
    [TestCase("Z", 200)]
    [TestCase(".Z", 400)]
    [TestCase(".12345678x9Z", 400)]
    [TestCase(".123456789", 400)]
    [TestCase(",123456789Z", 400)]
    public async Task A_time_may_have_more_than_seven_fraction_digits(string end, int status)
    {
        foreach (var path in (string[])["/api/audit?from=", "/api/audit?to=", "/api/audit/export?from=", "/api/audit/export?to="])
            Assert.That((await SendAsync("GET", $"{path}2026-01-31T12:00:00{end}")).Status, Is.EqualTo(status), path);
        Assert.That((await SendAsync("GET", "/api/audit?to=9999-12-31T23:59:59.99999999999Z")).Status, Is.EqualTo(200));
    }

    /// <summary>The fault: a byte above 7F in a header got an empty answer from the web server.</summary>
    [Test]
    public async Task A_byte_above_7F_in_a_header_gets_an_answer_of_the_service()
    {
        var id = MiraHost.IdOf(await Mira.NewKeyAsync("viewer"));
        var agent = string.Concat(Enumerable.Range(0x80, 0x80).Select(code => (char)code));
        var revoked = await Mira.NewKeyAsync("viewer");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(revoked)}");

        (await SendLinesAsync("GET", "/api/keys", "X-API-Key: \u00e9", $"User-Agent: {agent}")).ShouldBeProblem(401, "invalid_key");
        (await SendLinesAsync("GET", "/api/keys", $"X-API-Key: {revoked}", $"User-Agent: {agent}")).ShouldBeProblem(401, "key_revoked");
        (await SendOwnAsync("DELETE", $"/api/keys/{id}", "If-Match: \u00e9")).ShouldBeProblem(400, "invalid_parameter");
        (await SendOwnAsync("DELETE", $"/api/keys/{id}", "If-Match: \"\u00e9\"")).ShouldBeProblem(412, "version_mismatch");
        (await SendOwnAsync("POST", $"/api/keys/{id}/rotate", "Idempotency-Key: \u00e9", "Content-Length: 0")).ShouldBeProblem(400, "invalid_idempotency_key");
        (await SendOwnAsync("POST", "/api/keys", "Content-Type: application/json; charset=\u00e9", "Content-Length: 2")).ShouldBeProblem(415, "unsupported_media_type");
        (await SendOwnAsync("POST", "/api/keys", "Content-Type: \u00e9", "Content-Length: 2")).ShouldBeProblem(415, "unsupported_media_type");
        foreach (var line in (string[])["X-Correlation-ID: \u00e9", "Accept: \u00e9", "Cookie: \u00e9", "Origin: \u00e9", "traceparent: \u00e9", "X-Forwarded-For: \u00e9", $"User-Agent: {agent}"])
            (await SendOwnAsync("GET", "/api/auth/validate", line)).ShouldHaveCommonHeaders();
        Assert.That((await SendOwnAsync("DELETE", $"/api/keys/{id}", $"User-Agent: {agent}")).Status, Is.EqualTo(200));

        var events = (await SendAsync("GET", "/api/audit?type=key.revoked")).Json.GetProperty("events").EnumerateArray();
        Assert.That(events.Select(entry => entry.GetProperty("actor").GetProperty("user_agent").GetString()), Does.Contain(agent));
        Assert.That((await SendAsync("GET", "/api/audit/export")).Status, Is.EqualTo(200));
        Assert.That((await SendAsync("GET", "/api/audit/export", null, null, ("Accept", "text/csv"))).Status, Is.EqualTo(200));
        Assert.That(Mira.Log, Does.Not.Contain("failed unexpectedly"));
    }

    // The answer to a preflight repeats what is asked for.
    [TestCase("Access-Control-Request-Method: \u00e9")]
    [TestCase("Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: x-\u00e9")]
    [TestCase("Access-Control-Request-Method: GET\nAccess-Control-Request-Headers: x-\u0001")]
    [TestCase("Access-Control-Request-Method: G\u007fT")]
    public async Task A_preflight_for_what_no_browser_sends_is_no_preflight(string lines) =>
        (await SendLinesAsync("OPTIONS", "/api/keys", ["Origin: https://console.example", .. lines.Split('\n')])).ShouldBeProblem(401, "missing_credentials");

    /// <summary>The fault: a weak tag never matched.</summary>
    [Test]
    public async Task A_weak_tag_matches()
    {
        var token = await Mira.NewKeyAsync("viewer");
        var answer = await SendAsync("PATCH", $"/api/keys/{MiraHost.IdOf(token)}", null, MiraHost.Json("""{"name":"b"}"""), ("If-Match", "W/\"1\""));
        Assert.That((answer.Status, answer.Header("ETag")), Is.EqualTo((200, "\"2\"")));
        (await SendAsync("PATCH", $"/api/keys/{MiraHost.IdOf(token)}", null, MiraHost.Json("""{"name":"c"}"""), ("If-Match", "W/\"1\"")))
            .ShouldBeProblem(412, "version_mismatch");
    }

    private Task<WireAnswer> SendLinesAsync(string method, string path, params string[] lines) =>
        RawHttp.SendAsync(Mira.Address, [$"{method} {path} HTTP/1.1", "Host: x", "Connection: close", .. lines]);

    private Task<WireAnswer> SendOwnAsync(string method, string path, params string[] lines) =>
        SendLinesAsync(method, path, [$"Authorization: Bearer {Mira.Admin}", .. lines]);
}
