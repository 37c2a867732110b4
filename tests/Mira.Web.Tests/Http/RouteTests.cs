using System.Net.Http.Headers;
using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>Which calls there are, and in which order they are refused.</summary>
internal sealed class RouteTests : SharedHostTests
{
    private string _viewer = "";

    [OneTimeSetUp]
    public async Task MakeViewer() => _viewer = await Mira.NewKeyAsync("viewer");

    [TestCase("GET", "/nothing")]
    [TestCase("GET", "/api")]
    [TestCase("GET", "/api/keys/a/b/c")]
    [TestCase("POST", "/api/auth")]
    [TestCase("GET", "/.env")]
    [TestCase("PATCH", "/api/key")]
    public async Task An_address_nobody_serves_is_known_as_such_to_callers_alone(string method, string path)
    {
        (await SendAsync(method, path, _viewer)).ShouldBeProblem(404, "not_found");
        var anonymous = (await SendAnyAsync(method, path)).ShouldBeProblem(401, "missing_credentials");
        Assert.That(anonymous.Header("WWW-Authenticate"), Is.EqualTo("Bearer realm=\"mira\""));
    }

    [TestCase("DELETE", "/api/keys", "GET, POST")]
    [TestCase("PUT", "/api/keys/mira_key_000000000000", "DELETE, GET, PATCH")]
    [TestCase("GET", "/api/keys/mira_key_000000000000/rotate", "POST")]
    [TestCase("POST", "/api/auth/validate", "GET")]
    [TestCase("POST", "/api/audit", "GET")]
    [TestCase("POST", "/api/keys/stats/cache", "GET")]
    [TestCase("POST", "/health", "GET")]
    [TestCase("OPTIONS", "/api/keys", "GET, POST")]
    [TestCase("TRACE", "/health/live", "GET")]
    [TestCase("FROB", "/api/auth/validate", "GET")]
    public async Task A_method_nobody_serves_is_answered_with_those_that_are(string method, string path, string allowed)
    {
        var answer = (await SendAsync(method, path, _viewer)).ShouldBeProblem(405, "method_not_allowed");
        Assert.That(answer.Header("Allow")?.Split(", ").Order(), Is.EqualTo(allowed.Split(", ")));
        (await SendAnyAsync(method, path)).ShouldBeProblem(401, "missing_credentials");
    }

    [TestCase("/api/auth/validate")]
    [TestCase("/api/keys?limit=1")]
    [TestCase("/swagger/v1/swagger.json")]
    public async Task Head_is_get_without_the_body(string path)
    {
        var get = await SendAsync("GET", path);
        var head = await SendAsync("HEAD", path);
        Assert.That(head.Status, Is.EqualTo(200));
        Assert.That(head.Body, Is.Empty);
        Assert.That(head.Header("Content-Type"), Is.EqualTo(get.Header("Content-Type")));
        head.ShouldHaveCommonHeaders();
    }

    [TestCase("/health/live", null, 200)]
    [TestCase("/api/auth/validate", null, 401)]
    [TestCase("/nothing", "viewer", 404)]
    [TestCase("/api/audit", "viewer", 403)]
    [TestCase("/api/keys/mira_key_000000000000/rotate", "viewer", 405)]
    public async Task Head_is_refused_as_get_is(string path, string? role, int status)
    {
        var answer = role is null ? await SendAnyAsync("HEAD", path) : await SendAsync("HEAD", path, _viewer);
        Assert.That((answer.Status, answer.Body), Is.EqualTo((status, "")));
    }

    [Test]
    public async Task No_key_comes_before_no_such_address_no_permission_and_a_bad_body()
    {
        using var body = Content("{{", "text/plain");
        (await SendAnyAsync("POST", "/api/keys", [("Accept", "text/html")], body)).ShouldBeProblem(401, "missing_credentials");
        (await SendAnyAsync("POST", "/nothing", [("X-API-Key", "bad")])).ShouldBeProblem(401, "invalid_key");
    }

    [Test]
    public async Task No_permission_comes_before_a_bad_body_and_a_bad_parameter()
    {
        using var text = Content("{{", "text/plain");
        (await SendAsync("POST", "/api/keys", _viewer, text)).ShouldBeProblem(403, "insufficient_permission");
        (await PostAsync("/api/keys", "{{", _viewer)).ShouldBeProblem(403, "insufficient_permission");
        (await PostAsync("/api/keys", new string(' ', 100_000), _viewer)).ShouldBeProblem(403, "insufficient_permission");
        (await SendAsync("DELETE", "/api/keys/x?reason=a&reason=b", _viewer)).ShouldBeProblem(403, "insufficient_permission");
        (await SendAsync("GET", "/api/audit?limit=x", _viewer, null, ("Accept", "text/html"))).ShouldBeProblem(403, "insufficient_permission");
        (await SendAsync("PATCH", "/api/keys/mira_key_000000000000", _viewer)).ShouldBeProblem(403, "insufficient_permission");
    }

    [Test]
    public async Task A_permission_that_is_missing_is_named()
    {
        var answer = await SendAsync("GET", "/api/audit", _viewer);
        Assert.That(answer.Json.GetProperty("detail").GetString(), Does.Contain("audit:read"));
        Assert.That(answer.Header("WWW-Authenticate"), Does.StartWith("Bearer realm=\"mira\"").And.Contain("error=\"insufficient_scope\""));
    }

    [Test]
    public async Task The_media_type_comes_before_the_size_the_size_before_the_text_the_text_before_its_values()
    {
        using var text = Content(new string('{', 100_000), "text/plain");
        (await SendAsync("POST", "/api/keys", content: text)).ShouldBeProblem(415, "unsupported_media_type");
        (await PostAsync("/api/keys", new string('{', 100_000))).ShouldBeProblem(413, "payload_too_large");
        (await PostAsync("/api/keys", """{"name":"","role":"king","colour":1}""")).ShouldBeProblem(400, "unknown_property");
        (await PostAsync("/api/keys", """{"name":"","role":"king"}""")).ShouldBeProblem(400, "validation_failed");
    }

    [Test]
    public async Task A_bad_value_comes_before_a_bad_idempotency_key_no_such_key_and_another_version()
    {
        (await SendAsync("POST", "/api/keys/mira_key_000000000000/rotate", null, MiraHost.Json("""{"grace_minutes":-1}"""), ("If-Match", "\"9\"")))
            .ShouldBeProblem(400, "validation_failed");
        (await SendAsync("POST", "/api/keys/mira_key_000000000000/rotate", null, MiraHost.Json("{}"), ("If-Match", "\"9\"")))
            .ShouldBeProblem(404, "key_not_found");
        (await SendAsync("PATCH", "/api/keys/mira_key_000000000000", null, MiraHost.Json("""{"name":" "}"""), ("If-Match", "\"9\"")))
            .ShouldBeProblem(400, "validation_failed");
    }

    [Test]
    public async Task Another_version_comes_before_the_state()
    {
        var token = await Mira.NewKeyAsync("viewer");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}");
        (await SendAsync("PATCH", $"/api/keys/{MiraHost.IdOf(token)}", null, MiraHost.Json("""{"name":"b"}"""), ("If-Match", "\"1\"")))
            .ShouldBeProblem(412, "version_mismatch");
        (await PatchAsync(token, """{"name":"b"}""")).ShouldBeProblem(409, "key_not_active");
    }

    [TestCase("/api/keys?limit=1&limit=2")]
    [TestCase("/api/keys?limit=1&LIMIT=2")]
    [TestCase("/api/audit?type=key.created&type=key.created")]
    [TestCase("/api/auth/validate?x=1&x=2")]
    public async Task A_parameter_twice_is_refused(string path) => (await SendAsync("GET", path)).ShouldBeProblem(400, "invalid_parameter");

    [TestCase("/api/keys/%00")]
    [TestCase("/api/keys/mira_key_00000000000%2F")]
    [TestCase("/api/keys/%F0%9F%94%91")]
    [TestCase("/api/keys/'%20OR%201=1--")]
    public async Task A_strange_key_id_is_no_key(string path)
    {
        var answer = await SendRawAsync($"GET {path} HTTP/1.1\nHost: mira\nAuthorization: Bearer {Mira.Admin}\nConnection: close");
        Assert.That(answer.Status, Is.EqualTo(404).Or.EqualTo(400), answer.Body);
    }

    private static StringContent Content(string text, string type) => new(text, Encoding.UTF8, new MediaTypeHeaderValue(type));
}
