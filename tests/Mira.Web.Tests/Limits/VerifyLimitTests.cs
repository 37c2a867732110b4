using System.Text.Json;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Limits;

/// <summary>Whose limit counts when one asks about another, and when a proxy asks for its user.</summary>
internal sealed class VerifyLimitTests : SharedHostTests
{
    private const string Forward = "/api/auth/forward";

    private string _caller = "";

    protected override bool HoldsClock => true;

    [OneTimeSetUp]
    public async Task MakeCaller() => _caller = await Mira.NewKeyAsync("operator", key => (key.NeverExpires, key.RateLimitPerMinute) = (true, 1));

    [Test]
    public async Task A_question_counts_against_the_key_asked_about_and_never_the_caller()
    {
        var token = await NewKeyAsync(2);
        for (var call = 0; call < 2; call++)
        {
            var answer = await VerifyAsync(token);
            Judge(answer, "valid", 2, 1 - call, 60);
            Assert.That(answer.Header("RateLimit"), Is.EqualTo("\"operator\";r=1;t=0"));
        }

        for (var call = 0; call < 3; call++)
        {
            var refused = await VerifyAsync(token);
            Judge(refused, "rate_limited", 2, 0, 60);
            Assert.That(refused.Header("RateLimit"), Is.EqualTo("\"operator\";r=1;t=0"));
            Assert.That(refused.Header("Retry-After"), Is.Null);
        }

        (await SendAsync("GET", "/api/auth/validate", token)).ShouldBeProblem(429, "rate_limited");
        Mira.Clock!.Advance(TimeSpan.FromSeconds(60));
        Judge(await VerifyAsync(token), "valid", 2, 1, 60);
    }

    [Test]
    public async Task A_caller_who_has_used_up_its_own_limit_may_still_ask()
    {
        var caller = await Mira.NewKeyAsync("operator", key => key.RateLimitPerMinute = 1);
        await SendAsync("GET", "/api/auth/validate", caller);
        (await SendAsync("GET", "/api/auth/validate", caller)).ShouldBeProblem(429, "rate_limited");
        var answer = await VerifyAsync(await NewKeyAsync(2), caller: caller);
        Judge(answer, "valid", 2, 1, 60);
        Assert.That(answer.Header("RateLimit"), Is.EqualTo("\"operator\";r=0;t=60"));
    }

    [Test]
    public async Task A_cost_counts_whole_or_not_at_all()
    {
        var token = await NewKeyAsync(10);
        Judge(await VerifyAsync(token, ",\"cost\":0"), "valid", 10, 10, 0);
        Judge(await VerifyAsync(token, ",\"cost\":7"), "valid", 10, 3, 60);
        Judge(await VerifyAsync(token, ",\"cost\":4"), "rate_limited", 10, 3, 60);
        Judge(await VerifyAsync(token, ",\"cost\":10000000"), "rate_limited", 10, 3, 60);
        Judge(await VerifyAsync(token, ",\"cost\":2"), "valid", 10, 1, 60);
        Judge(await VerifyAsync(token, ",\"cost\":null"), "valid", 10, 0, 60);
        Judge(await VerifyAsync(token), "rate_limited", 10, 0, 60);
        Judge(await VerifyAsync(token, ",\"cost\":0"), "valid", 10, 0, 60);
    }

    [Test]
    public async Task Refused_decisions_do_not_count()
    {
        var token = await Mira.NewKeyAsync("viewer", key => (key.RateLimitPerMinute, key.AllowedIps) = (2, ["10.0.0.0/8"]));
        for (var call = 0; call < 3; call++)
        {
            Judge(await VerifyAsync(token), "ip_not_allowed", 2, 2, 0);
            Judge(await VerifyAsync(token, ",\"ip\":\"11.0.0.1\""), "ip_not_allowed", 2, 2, 0);
            Judge(await VerifyAsync(token, ",\"ip\":\"10.0.0.1\",\"permissions\":[\"a:b\"]"), "insufficient_permission", 2, 2, 0);
        }

        Judge(await VerifyAsync(token, ",\"ip\":\"10.0.0.1\",\"cost\":2"), "valid", 2, 0, 60);
        Judge(await VerifyAsync(token, ",\"ip\":\"10.0.0.1\""), "rate_limited", 2, 0, 60);

        // What else is wrong is said first, whatever the limit.
        Judge(await VerifyAsync(token, ",\"ip\":\"10.0.0.1\",\"permissions\":[\"a:b\"]"), "insufficient_permission", 2, 0, 60);
        await PatchAsync(token, """{"disabled":true}""");
        Judge(await VerifyAsync(token, ",\"ip\":\"10.0.0.1\""), "key_disabled", 2, 0, 60);
    }

    [Test]
    public async Task A_question_that_cannot_be_read_does_not_count()
    {
        var token = await NewKeyAsync(1);
        (await VerifyAsync(token, ",\"cost\":-1")).ShouldBeProblem(400, "validation_failed");
        (await VerifyAsync(token, ",\"more\":1")).ShouldBeProblem(400, "unknown_property");
        Judge(await VerifyAsync(token), "valid", 1, 0, 60);
    }

    [Test]
    public async Task Who_may_not_ask_changes_no_count()
    {
        var (token, viewer) = (await NewKeyAsync(1), await NewKeyAsync(1));
        (await VerifyAsync(token, caller: viewer)).ShouldBeProblem(403, "insufficient_permission");
        (await VerifyAsync(token, caller: "bad")).ShouldBeProblem(401, "invalid_key");
        Judge(await VerifyAsync(token), "valid", 1, 0, 60);
    }

    [Test]
    public async Task A_wrong_secret_does_not_count_against_the_key()
    {
        var token = await NewKeyAsync(1);
        var other = await NewKeyAsync(1);
        for (var call = 0; call < 3; call++)
        {
            var answer = await VerifyAsync(token[..21] + other[21..]);
            Assert.That(answer.Code, Is.EqualTo("invalid_key"));
            Assert.That(answer.Json.TryGetProperty("rate_limit", out var limit) && limit.ValueKind != JsonValueKind.Null, Is.False);
        }

        Judge(await VerifyAsync(token), "valid", 1, 0, 60);
    }

    [Test]
    public async Task Both_secrets_of_a_key_share_its_limit()
    {
        var old = await NewKeyAsync(3);
        var token = (await PostAsync($"/api/keys/{MiraHost.IdOf(old)}/rotate", "{}")).Json.GetProperty("api_key").GetString()!;
        Judge(await VerifyAsync(old), "valid", 3, 2, 60);
        Judge(await VerifyAsync(token), "valid", 3, 1, 60);
        Assert.That((await SendAsync("GET", "/api/auth/validate", old)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=0;t=60"));
        Judge(await VerifyAsync(token), "rate_limited", 3, 0, 60);
    }

    [Test]
    public async Task A_proxys_question_counts_once_against_the_key_presented()
    {
        var token = await NewKeyAsync(2);
        foreach (var remaining in new[] { 1, 0 })
        {
            var answer = await SendAsync("POST", Forward + "/a/path?b=c", token, MiraHost.Json("{"));
            Assert.That((answer.Status, answer.Header("RateLimit-Policy"), answer.Header("RateLimit")), Is.EqualTo((200, "\"viewer\";q=2;w=60", $"\"viewer\";r={remaining};t=60")));
        }

        Mira.Clock!.Advance(TimeSpan.FromSeconds(18));
        var refused = (await SendAsync("GET", Forward, token)).ShouldBeProblem(429, "rate_limited");
        Assert.That((refused.Header("Retry-After"), refused.Header("RateLimit")), Is.EqualTo(("42", "\"viewer\";r=0;t=42")));
        Assert.That(refused.Header("X-Mira-Key-Id"), Is.Null);
    }

    [TestCase("?role=admin")]
    [TestCase("?role=")]
    [TestCase("?permission=a:b")]
    public async Task A_demand_that_is_not_met_does_not_count(string query)
    {
        var token = await NewKeyAsync(1);
        for (var call = 0; call < 3; call++)
            Assert.That((await SendAsync("GET", Forward + query, token)).ShouldBeProblem(403, "insufficient_permission").Header("RateLimit"), Is.EqualTo("\"viewer\";r=1;t=0"));
        Assert.That((await SendAsync("GET", Forward, token)).Status, Is.EqualTo(200));
        (await SendAsync("GET", Forward, token)).ShouldBeProblem(429, "rate_limited");

        // It is still said first.
        (await SendAsync("GET", Forward + query, token)).ShouldBeProblem(403, "insufficient_permission");
    }

    private void Judge(WireAnswer answer, string code, int limit, int remaining, int reset)
    {
        Assert.That((answer.Status, answer.Code), Is.EqualTo((200, code)), answer.Body);
        Assert.That(answer.Json.GetProperty("valid").GetBoolean(), Is.EqualTo(code == "valid"));
        var state = answer.Json.GetProperty("rate_limit");
        Assert.That((state.GetProperty("limit").GetInt32(), state.GetProperty("remaining").GetInt32()), Is.EqualTo((limit, remaining)), answer.Body);
        Assert.That(state.GetProperty("reset_at").GetDateTimeOffset(), Is.EqualTo(Mira.Clock!.GetUtcNow().AddSeconds(reset)));
    }

    private Task<string> NewKeyAsync(int limit) => Mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = limit);

    private Task<WireAnswer> VerifyAsync(string token, string more = "", string? caller = null) =>
        PostAsync("/api/keys/verify", $"{{\"api_key\":\"{token}\"{more}}}", caller ?? _caller);
}
