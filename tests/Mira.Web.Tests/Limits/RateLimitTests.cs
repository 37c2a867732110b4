using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Limits;

/// <summary>What a key may do in a minute, and what happens beyond.</summary>
internal sealed class RateLimitTests : SharedHostTests
{
    private const string Validate = "/api/auth/validate";

    protected override bool HoldsClock => true;

    protected override (string Name, string Value)[] Settings => [("CORS_ENABLED", "true"), ("CORS_ORIGINS", "https://console.example.com")];

    [Test]
    public async Task Beyond_the_limit_a_call_is_told_when_to_come_again()
    {
        var token = await NewKeyAsync(3);
        await CallAsync(token, 1);
        Mira.Clock!.Advance(TimeSpan.FromSeconds(20));
        await CallAsync(token, 2);

        Mira.Clock.Advance(TimeSpan.FromSeconds(5));
        var refused = (await SendAsync("GET", Validate, token)).ShouldBeProblem(429, "rate_limited");
        Assert.That(refused.Header("Retry-After"), Is.EqualTo("35"));
        Assert.That(refused.Header("RateLimit-Policy"), Is.EqualTo("\"viewer\";q=3;w=60"));
        Assert.That(refused.Header("RateLimit"), Is.EqualTo("\"viewer\";r=0;t=35"));

        Mira.Clock.Advance(TimeSpan.FromSeconds(34));
        Assert.That((await SendAsync("GET", Validate, token)).Header("Retry-After"), Is.EqualTo("1"));
        Mira.Clock.Advance(TimeSpan.FromSeconds(1));
        var admitted = await SendAsync("GET", Validate, token);
        Assert.That((admitted.Status, admitted.Header("RateLimit")), Is.EqualTo((200, "\"viewer\";r=0;t=20")));
        Assert.That((await SendAsync("GET", Validate, token)).Status, Is.EqualTo(429));
    }

    [TestCase("GET", "/api/nothing", null)]
    [TestCase("GET", "/api/audit", null)]
    [TestCase("PUT", "/api/keys", null)]
    [TestCase("POST", "/api/keys", "{")]
    [TestCase("GET", "/api/keys/mira_key_000000000000", null)]
    [TestCase("GET", "/api/auth/forward", null)]
    [TestCase("POST", "/api/auth/forward/a/path?b=c", "body")]
    public async Task It_comes_before_everything_but_authentication(string method, string path, string? body)
    {
        var token = await NewKeyAsync(1);
        await CallAsync(token, 1);
        var refused = (await SendAsync(method, path, token, body is null ? null : MiraHost.Json(body))).ShouldBeProblem(429, "rate_limited");
        Assert.That(refused.Header("Retry-After"), Is.EqualTo("60"));
    }

    [Test]
    public async Task Authentication_comes_before_it()
    {
        var token = await NewKeyAsync(1);
        await CallAsync(token, 1);
        (await SendAnyAsync("GET", Validate, [("X-API-Key", token), ("Authorization", $"Bearer {token}")])).ShouldBeProblem(400, "ambiguous_credentials");
        (await SendAsync("GET", Validate + "?api_key=x", token)).ShouldBeProblem(400, "credentials_in_query");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}");
        (await SendAsync("GET", Validate, token)).ShouldBeProblem(401, "key_revoked");
    }

    [Test]
    public async Task A_refused_call_has_done_nothing()
    {
        var token = await Mira.NewKeyAsync("admin", key => key.RateLimitPerMinute = 1);
        var victim = await Mira.NewKeyAsync("viewer");
        await CallAsync(token, 1);
        (await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(victim)}", token)).ShouldBeProblem(429, "rate_limited");
        Assert.That((await SendAsync("GET", Validate, victim)).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task What_fails_counts_like_what_succeeds()
    {
        var token = await NewKeyAsync(4);
        Assert.That((await SendAsync("GET", "/api/nothing", token)).Status, Is.EqualTo(404));
        Assert.That((await SendAsync("GET", "/api/audit", token)).Status, Is.EqualTo(403));
        Assert.That((await SendAsync("GET", "/api/keys?limit=x", token)).Status, Is.EqualTo(400));
        Assert.That((await SendAsync("GET", Validate, token)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=0;t=60"));
        Assert.That((await SendAsync("GET", Validate, token)).Status, Is.EqualTo(429));
    }

    [Test]
    public async Task All_secrets_of_a_key_share_one_limit_and_a_rotation_does_not_refill_it()
    {
        var first = await NewKeyAsync(5);
        await CallAsync(first, 3);
        var second = await RotateAsync(first);
        Assert.That((await SendAsync("GET", Validate, second)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=1;t=60"));
        Assert.That((await SendAsync("GET", Validate, first)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=0;t=60"));
        var third = await RotateAsync(first);
        foreach (var token in new[] { first, second, third })
            (await SendAsync("GET", Validate, token)).ShouldBeProblem(429, "rate_limited");
    }

    [Test]
    public async Task Other_keys_from_the_same_address_do_not_count()
    {
        var (one, other) = (await NewKeyAsync(2), await NewKeyAsync(2));
        await CallAsync(one, 2);
        for (var call = 0; call < 20; call++)
        {
            Assert.That((await SendAsync("GET", Validate, one)).Status, Is.EqualTo(429));
            await SendAsync("GET", Validate, "bad");
        }

        Assert.That((await SendAsync("GET", Validate, other)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=1;t=60"));
    }

    [Test]
    public async Task A_changed_limit_or_role_counts_at_once()
    {
        var token = await NewKeyAsync(2);
        await CallAsync(token, 2);
        Assert.That((await SendAsync("GET", Validate, token)).Status, Is.EqualTo(429));
        await PatchAsync(token, """{"rate_limit_per_minute":4}""");
        Assert.That((await SendAsync("GET", Validate, token)).Header("RateLimit"), Is.EqualTo("\"viewer\";r=1;t=60"));
        await PatchAsync(token, """{"rate_limit_per_minute":1}""");
        var refused = (await SendAsync("GET", Validate, token)).ShouldBeProblem(429, "rate_limited");
        Assert.That((refused.Header("RateLimit-Policy"), refused.Header("RateLimit")), Is.EqualTo(("\"viewer\";q=1;w=60", "\"viewer\";r=0;t=60")));
        await PatchAsync(token, """{"rate_limit_per_minute":null,"role":"operator"}""");
        Assert.That((await SendAsync("GET", Validate, token)).Header("RateLimit"), Is.EqualTo("\"operator\";r=999996;t=60"));
    }

    [Test]
    public async Task Calls_at_once_are_admitted_exactly_to_the_limit()
    {
        var token = await NewKeyAsync(50);
        using var http = Mira.Http(token);
        var answers = await Task.WhenAll(Enumerable.Range(0, 120).Select(_ => http.ValidateAsync()));
        Assert.That(answers.GroupBy(answer => answer.Verdict).Select(group => (group.Key, group.Count())), Is.EquivalentTo(new[] { ("200", 50), ("429 rate_limited", 70) }));
    }

    [Test]
    public async Task A_preflight_is_no_call()
    {
        var token = await NewKeyAsync(1);
        for (var call = 0; call < 3; call++)
        {
            var preflight = await SendAsync(
                "OPTIONS", Validate, token, null, ("Origin", "https://console.example.com"), ("Access-Control-Request-Method", "GET"));
            Assert.That((preflight.Status, preflight.Header("RateLimit")), Is.EqualTo((204, (string?)null)));
        }

        await CallAsync(token, 1);
        var refused = await SendAsync("GET", Validate, token, null, ("Origin", "https://console.example.com"));
        Assert.That(refused.ShouldBeProblem(429, "rate_limited").Header("Access-Control-Expose-Headers"), Does.Contain("RateLimit").And.Contain("Retry-After"));
    }

    private Task<string> NewKeyAsync(int limit) => Mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = limit);

    private async Task CallAsync(string token, int times)
    {
        for (var call = 0; call < times; call++)
            Assert.That((await SendAsync("GET", Validate, token)).Status, Is.EqualTo(200));
    }

    private async Task<string> RotateAsync(string token) =>
        (await PostAsync($"/api/keys/{MiraHost.IdOf(token)}/rotate", "{}")).Json.GetProperty("api_key").GetString()!;
}
