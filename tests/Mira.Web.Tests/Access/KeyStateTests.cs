using System.Globalization;
using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>What the holder of a right secret is told when it does not open anything any more.</summary>
internal sealed class KeyStateTests
{
    [Test]
    public async Task Revoked_comes_before_rotated_out_before_expired_before_disabled()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var old = await mira.NewKeyAsync("operator", key => key.ExpiryDays = 1);
        var id = MiraHost.IdOf(old);
        var current = await RotateAsync(mira, id, """{"grace_minutes":0}""");
        await ExpectAsync(mira, old, "key_rotated_out");
        await ExpectAsync(mira, current, null);

        await SendAsync(mira, "PATCH", $"/api/keys/{id}", """{"disabled":true}""");
        await ExpectAsync(mira, old, "key_rotated_out");
        await ExpectAsync(mira, current, "key_disabled");

        mira.Clock!.Advance(TimeSpan.FromDays(2));
        await ExpectAsync(mira, old, "key_rotated_out");
        await ExpectAsync(mira, current, "key_expired");

        await SendAsync(mira, "DELETE", $"/api/keys/{id}", null);
        await ExpectAsync(mira, old, "key_revoked");
        await ExpectAsync(mira, current, "key_revoked");
        await ExpectAsync(mira, Token.Generate(IdOf(id)).Reveal(), "invalid_key");
    }

    [Test]
    public async Task Disabled_ends_with_being_enabled()
    {
        await using var mira = MiraHost.Start();
        var token = await mira.NewKeyAsync("viewer");
        var path = $"/api/keys/{MiraHost.IdOf(token)}";
        await SendAsync(mira, "PATCH", path, """{"disabled":true}""");
        await ExpectAsync(mira, token, "key_disabled");
        await ExpectAsync(mira, Token.Generate(IdOf(MiraHost.IdOf(token))).Reveal(), "invalid_key");
        await SendAsync(mira, "PATCH", path, """{"disabled":false}""");
        await ExpectAsync(mira, token, null);
    }

    [Test]
    public async Task A_key_is_valid_to_the_last_moment_before_its_deadline()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var token = await mira.NewKeyAsync("viewer", key => key.ExpiryDays = 1);
        var expiry = mira.Clock!.GetUtcNow().AddDays(1);
        mira.Clock.SetUtcNow(expiry.AddMilliseconds(-1));
        await ExpectAsync(mira, token, null);
        mira.Clock.SetUtcNow(expiry);
        await ExpectAsync(mira, token, "key_expired");
    }

    [Test]
    public async Task A_superseded_secret_says_until_when_and_manages_nothing()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var old = await mira.NewKeyAsync("admin");
        var current = await RotateAsync(mira, MiraHost.IdOf(old), """{"grace_minutes":10}""");
        var deadline = mira.Clock!.GetUtcNow().AddMinutes(10);

        var call = await ExpectAsync(mira, old, null);
        var told = call.Header("Mira-Key-Superseded")!;
        Assert.That(told, Does.EndWith("Z"));
        Assert.That(DateTimeOffset.Parse(told, CultureInfo.InvariantCulture), Is.EqualTo(deadline));
        Assert.That((await ExpectAsync(mira, current, null)).Header("Mira-Key-Superseded"), Is.Null);
        Assert.That((await GetAsync(mira, old, "/api/keys")).Status, Is.EqualTo(200));
        Assert.That((await GetAsync(mira, old, "/api/audit")).Status, Is.EqualTo(200));

        (await SendAsync(mira, "POST", "/api/keys", """{"name":"a","role":"admin"}""", old)).ShouldBeProblem(403, "superseded_secret");
        (await SendAsync(mira, "POST", $"/api/keys/{MiraHost.IdOf(old)}/rotate", "{{", old)).ShouldBeProblem(403, "superseded_secret");
        (await SendAsync(mira, "DELETE", $"/api/keys/{MiraHost.IdOf(old)}", null, old)).ShouldBeProblem(403, "superseded_secret");
        Assert.That((await SendAsync(mira, "POST", "/api/keys", """{"name":"a","role":"admin"}""", current)).Status, Is.EqualTo(201));

        mira.Clock.SetUtcNow(deadline.AddMilliseconds(-1));
        await ExpectAsync(mira, old, null);
        mira.Clock.SetUtcNow(deadline);
        await ExpectAsync(mira, old, "key_rotated_out");
    }

    [Test]
    public async Task A_superseded_secret_without_the_permission_is_told_of_the_permission()
    {
        await using var mira = MiraHost.Start();
        var old = await mira.NewKeyAsync("viewer");
        await RotateAsync(mira, MiraHost.IdOf(old), "{}");
        (await SendAsync(mira, "POST", "/api/keys", "{}", old)).ShouldBeProblem(403, "insufficient_permission");
    }

    /// <summary>Demands that the token is refused with this code, or works.</summary>
    private static async Task<WireAnswer> ExpectAsync(MiraHost mira, string token, string? code)
    {
        var answer = await GetAsync(mira, token, "/api/auth/validate");
        if (code is null)
        {
            Assert.That(answer.Status, Is.EqualTo(200), answer.Body);
            return answer;
        }

        answer.ShouldBeProblem(401, code);
        Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo("Bearer realm=\"mira\", error=\"invalid_token\""));
        return answer;
    }

    private static async Task<string> RotateAsync(MiraHost mira, string id, string body) =>
        (await SendAsync(mira, "POST", $"/api/keys/{id}/rotate", body)).Json.GetProperty("api_key").GetString()!;

    private static Task<WireAnswer> GetAsync(MiraHost mira, string token, string path) => WireAnswer.OfAsync(mira.Http(token).GetAsync(path));

    private static async Task<WireAnswer> SendAsync(MiraHost mira, string method, string path, string? body, string? token = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : MiraHost.Json(body) };
        return await WireAnswer.OfAsync(mira.Http(token ?? mira.Admin).SendAsync(request));
    }

    private static KeyId IdOf(string text) => KeyId.TryParse(text, out var id) ? id : throw new FormatException();
}
