using System.Globalization;
using System.Text.Json;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Limits;

/// <summary>What every answer to a known caller says of its limit.</summary>
internal sealed class RateLimitHeaderTests : SharedHostTests
{
    private const string Validate = "/api/auth/validate";

    protected override bool HoldsClock => true;

    // Empty is unset: these are the defaults.
    protected override (string Name, string Value)[] Settings => [("RATE_LIMIT_VIEWER", ""), ("RATE_LIMIT_OPERATOR", "")];

    [TestCase("viewer", null, 100)]
    [TestCase("operator", null, 200)]
    [TestCase("viewer", 7, 7)]
    [TestCase("admin", 10_000_000, 10_000_000)]
    public async Task A_key_has_its_own_limit_or_its_roles(string role, int? own, int limit)
    {
        var token = await Mira.NewKeyAsync(role, key => key.RateLimitPerMinute = own);
        Judge(await SendAsync("GET", Validate, token), role, limit, limit - 1);
        Judge(await SendAsync("GET", Validate, token), role, limit, limit - 2);
    }

    [Test]
    public async Task An_admin_may_call_five_hundred_times()
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("RATE_LIMIT_ADMIN", ""));
        var answer = await mira.Http(mira.Admin).ValidateAsync();
        Assert.That((answer.Header("RateLimit-Policy"), answer.Header("RateLimit")), Is.EqualTo(("\"admin\";q=500;w=60", "\"admin\";r=499;t=60")));
    }

    [Test]
    public async Task Settings_change_what_roles_may()
    {
        await using var mira = MiraHost.Start(
            holdClock: true, settings: [("RATE_LIMIT_VIEWER", "1"), ("RATE_LIMIT_OPERATOR", "10000000"), ("Mira:RateLimit:Admin", "9"), ("RATE_LIMIT_ADMIN", "")]);
        foreach (var (role, limit) in new[] { ("viewer", 1), ("operator", 10_000_000), ("admin", 9) })
        {
            var answer = await mira.Http(await mira.NewKeyAsync(role)).ValidateAsync();
            Assert.That(answer.Header("RateLimit-Policy"), Is.EqualTo($"\"{role}\";q={limit};w=60"));
        }
    }

    [TestCase("GET", "/api/keys/mira_key_000000000000", null, 404)]
    [TestCase("GET", "/api/nothing", null, 404)]
    [TestCase("PUT", "/api/keys", null, 405)]
    [TestCase("GET", "/api/audit", null, 403)]
    [TestCase("POST", "/api/keys", "{", 403)]
    [TestCase("GET", "/api/keys?limit=0", null, 400)]
    [TestCase("POST", "/api/keys/verify", "{", 403)]
    [TestCase("GET", "/api/auth/forward?role=admin", null, 403)]
    [TestCase("GET", "/api/auth/forward?permission=a:b", null, 403)]
    public async Task Refusals_bear_them_too(string method, string path, string? body, int status)
    {
        var token = await Mira.NewKeyAsync("viewer");
        var answer = await SendAsync(method, path, token, body is null ? null : MiraHost.Json(body));
        Assert.That(answer.Status, Is.EqualTo(status), answer.Body);
        ShouldBear(answer, "viewer");
    }

    [TestCase("POST", "/api/keys/verify", "{", "application/json", 400)]
    [TestCase("POST", "/api/keys/verify", "{}", "application/json", 400)]
    [TestCase("POST", "/api/keys/verify", "{}", "text/plain", 415)]
    [TestCase("GET", "/api/auth/forward?api_key=x", null, null, 401)]
    public async Task A_question_that_is_no_question_bears_them_if_the_caller_is_known(string method, string path, string? body, string? mediaType, int status)
    {
        var token = await Mira.NewKeyAsync("operator");
        var answer = await SendAsync(method, path, token, body is null ? null : MiraHost.Json(body, mediaType!));
        Assert.That(answer.Status, Is.EqualTo(status), answer.Body);
        if (status == 401)
            ShouldBearNone(answer);
        else
            ShouldBear(answer, "operator");
    }

    [Test]
    public async Task A_superseded_secret_is_told_as_well()
    {
        var old = await Mira.NewKeyAsync("admin");
        await PostAsync($"/api/keys/{MiraHost.IdOf(old)}/rotate", "{}");
        ShouldBear((await PostAsync("/api/keys", ValidKey, old)).ShouldBeProblem(403, "superseded_secret"), "admin");
    }

    [Test]
    public async Task Who_is_not_known_is_told_nothing()
    {
        var elsewhere = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.1"]);
        ShouldBearNone(await SendAnyAsync("GET", Validate));
        ShouldBearNone(await SendAsync("GET", Validate, "bad"));
        ShouldBearNone(await SendAsync("GET", Validate, elsewhere));
    }

    [TestCase("/health")]
    [TestCase("/health/live")]
    [TestCase("/health/ready")]
    [TestCase("/swagger/v1/swagger.json")]
    public async Task What_is_public_counts_for_nobody(string path)
    {
        var token = await Mira.NewKeyAsync("admin", key => key.RateLimitPerMinute = 2);
        for (var call = 0; call < 4; call++)
        {
            var answer = await SendAsync("GET", path, token);
            Assert.That(answer.Status, Is.EqualTo(200));
            ShouldBearNone(answer);
        }

        Judge(await SendAsync("GET", Validate, token), "admin", 2, 1);
    }

    [Test]
    public async Task Validate_says_the_same_in_its_body()
    {
        var token = await Mira.NewKeyAsync("viewer");
        await SendAsync("GET", Validate, token);
        Mira.Clock!.Advance(TimeSpan.FromSeconds(20));
        var limit = (await SendAsync("GET", Validate, token)).Json.GetProperty("rate_limit");
        Assert.That(limit.EnumerateObject().Select(property => property.Name), Is.EqualTo(new[] { "limit", "remaining", "reset_at" }));
        Assert.That((limit.GetProperty("limit").GetInt32(), limit.GetProperty("remaining").GetInt32()), Is.EqualTo((100, 98)));
        Assert.That(limit.GetProperty("reset_at").GetDateTimeOffset(), Is.EqualTo(Mira.Clock.GetUtcNow().AddSeconds(40)));
    }

    [Test]
    public async Task Without_limits_nothing_is_said_and_nobody_refused()
    {
        await using var mira = MiraHost.Start(
            holdClock: true, settings: [("RATE_LIMIT_ENABLED", "false"), ("RATE_LIMIT_VIEWER", "1"), ("RATE_LIMIT_FAILURES", "1")]);
        var token = await mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = 1);
        var (viewer, admin) = (mira.Http(token), mira.Http(mira.Admin));
        for (var call = 0; call < 5; call++)
        {
            var answer = await viewer.ValidateAsync();
            Assert.That((answer.Verdict, answer.Header("RateLimit"), answer.Header("RateLimit-Policy")), Is.EqualTo(("200", (string?)null, (string?)null)));
            Assert.That(answer.Json.GetProperty("rate_limit").ValueKind, Is.EqualTo(JsonValueKind.Null));

            answer = await admin.CallAsync("POST", "/api/keys/verify", $$"""{"api_key":"{{token}}","cost":100}""");
            Assert.That((answer.Field("code"), answer.Header("RateLimit")), Is.EqualTo(("valid", (string?)null)));
            Assert.That(answer.Json.GetProperty("rate_limit").ValueKind, Is.EqualTo(JsonValueKind.Null));

            answer = await viewer.CallAsync("GET", "/api/auth/forward");
            Assert.That((answer.Verdict, answer.Header("RateLimit")), Is.EqualTo(("200", (string?)null)));
            Assert.That((await mira.Http("bad").ValidateAsync()).Verdict, Is.EqualTo("401 invalid_key"));
        }
    }

    private static void Judge(WireAnswer answer, string role, int limit, int remaining)
    {
        Assert.That(answer.Status, Is.EqualTo(200), answer.Body);
        Assert.That(answer.Header("RateLimit-Policy"), Is.EqualTo(string.Create(CultureInfo.InvariantCulture, $"\"{role}\";q={limit};w=60")));
        Assert.That(answer.Header("RateLimit"), Is.EqualTo(string.Create(CultureInfo.InvariantCulture, $"\"{role}\";r={remaining};t=60")));
    }

    private static void ShouldBear(WireAnswer answer, string role)
    {
        Assert.That(answer.Header("RateLimit-Policy"), Does.Match($"^\"{role}\";q=\\d+;w=60$"));
        Assert.That(answer.Header("RateLimit"), Does.Match($"^\"{role}\";r=\\d+;t=\\d+$"));
    }

    private static void ShouldBearNone(WireAnswer answer) =>
        Assert.That((answer.Header("RateLimit-Policy"), answer.Header("RateLimit")), Is.EqualTo(((string?)null, (string?)null)));
}
