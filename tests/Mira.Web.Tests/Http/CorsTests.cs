using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>Which pages in a browser may call.</summary>
internal sealed class CorsTests
{
    private const string Console = "https://console.example.com";
    private const string AllowOrigin = "Access-Control-Allow-Origin";

    private static readonly string[] Exposed =
    [
        "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Correlation-ID", "Idempotency-Replayed", "Mira-Key-Superseded",
    ];

    [Test]
    public async Task By_default_no_page_may()
    {
        await using var mira = MiraHost.Start();
        var preflight = await SendAsync(mira, "OPTIONS", "/api/keys", Console, isPreflight: true);
        preflight.ShouldBeProblem(401, "missing_credentials");
        Assert.That(CorsHeaders(preflight), Is.Empty);

        var call = await SendAsync(mira, "GET", "/api/auth/validate", Console, mira.Admin);
        Assert.That(call.Status, Is.EqualTo(200));
        Assert.That(CorsHeaders(call), Is.Empty);
    }

    [Test]
    public async Task Origins_do_not_count_until_cors_is_on()
    {
        await using var mira = MiraHost.Start(settings: ("CORS_ORIGINS", "*"));
        Assert.That(CorsHeaders(await SendAsync(mira, "GET", "/api/auth/validate", Console, mira.Admin)), Is.Empty);
    }

    [Test]
    public async Task Listed_origins_may_and_no_others()
    {
        await using var mira = MiraHost.Start(settings: [("CORS_ENABLED", "true"), ("CORS_ORIGINS", $"{Console}:443, http://localhost:3000/")]);
        foreach (var origin in new[] { Console, "http://localhost:3000" })
        {
            var preflight = await SendAsync(mira, "OPTIONS", "/api/keys", origin, isPreflight: true);
            Assert.That(preflight.Status, Is.EqualTo(204));
            Assert.That(preflight.Header(AllowOrigin), Is.EqualTo(origin));
            Assert.That(preflight.Header("Access-Control-Allow-Methods"), Does.Contain("PATCH"));
            Assert.That(preflight.Header("Access-Control-Allow-Headers"), Does.Contain("x-api-key").And.Contain("idempotency-key"));
            Assert.That(preflight.Header("Access-Control-Allow-Credentials"), Is.Null);
            preflight.ShouldHaveCommonHeaders();

            var call = await SendAsync(mira, "GET", "/api/auth/validate", origin, mira.Admin);
            Assert.That(call.Header(AllowOrigin), Is.EqualTo(origin));
            Assert.That(call.Header("Access-Control-Expose-Headers")!.Split(','), Is.EquivalentTo(Exposed));
            Assert.That(call.Header("Access-Control-Allow-Credentials"), Is.Null);
            Assert.That(call.Header("Vary"), Does.Contain("Origin"));
        }

        foreach (var stranger in new[] { "https://evil.example", "http://console.example.com", $"{Console}.evil.example", $"{Console}:444", "null" })
        {
            Assert.That((await SendAsync(mira, "OPTIONS", "/api/keys", stranger, isPreflight: true)).Header(AllowOrigin), Is.Null);
            var call = await SendAsync(mira, "GET", "/api/auth/validate", stranger, mira.Admin);
            Assert.That(call.Header(AllowOrigin), Is.Null, stranger);
        }
    }

    [Test]
    public async Task A_page_can_read_why_it_was_refused()
    {
        await using var mira = MiraHost.Start(settings: [("CORS_ENABLED", "true"), ("CORS_ORIGINS", Console)]);
        var anonymous = (await SendAsync(mira, "GET", "/api/auth/validate", Console)).ShouldBeProblem(401, "missing_credentials");
        Assert.That(anonymous.Header(AllowOrigin), Is.EqualTo(Console));

        var thrown = (await SendAsync(mira, "GET", "/api/keys/mira_key_000000000000", Console, mira.Admin)).ShouldBeProblem(404, "key_not_found");
        Assert.That(thrown.Header(AllowOrigin), Is.EqualTo(Console));
    }

    [Test]
    public async Task An_asterisk_is_a_literal_one_without_credentials()
    {
        await using var mira = MiraHost.Start(settings: [("CORS_ENABLED", "true"), ("CORS_ORIGINS", "*")]);
        var preflight = await SendAsync(mira, "OPTIONS", "/nothing", "https://anyone.example", isPreflight: true);
        var call = await SendAsync(mira, "GET", "/api/auth/validate", "https://anyone.example", mira.Admin);
        foreach (var answer in new[] { preflight, call })
        {
            Assert.That(answer.Header(AllowOrigin), Is.EqualTo("*"));
            Assert.That(answer.Header("Access-Control-Allow-Credentials"), Is.Null);
        }

        // Without what makes it a preflight it is a call like any other.
        Assert.That((await SendAsync(mira, "OPTIONS", "/api/keys", null)).Status, Is.EqualTo(401));
        Assert.That((await SendAsync(mira, "OPTIONS", "/api/keys", null, mira.Admin)).Status, Is.EqualTo(405));
    }

    private static async Task<WireAnswer> SendAsync(
        MiraHost mira, string method, string path, string? origin, string? token = null, bool isPreflight = false)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        if (isPreflight)
        {
            request.Headers.Add("Access-Control-Request-Method", "PATCH");
            request.Headers.Add("Access-Control-Request-Headers", "x-api-key,idempotency-key");
        }

        return await WireAnswer.OfAsync(mira.Http(token).SendAsync(request));
    }

    private static IEnumerable<string> CorsHeaders(WireAnswer answer) =>
        answer.Headers.Select(header => header.Name).Where(name => name.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
}
