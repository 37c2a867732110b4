using System.Text.Json;
using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>What a service is told of a key that was presented to it.</summary>
internal sealed class VerifyTests : SharedHostTests
{
    private static readonly string[] All =
        ["valid", "code", "key_id", "name", "role", "owner", "permissions", "metadata", "expires_at", "rate_limit"];

    private static readonly string[] Unproved = ["valid", "code"];

    private string _caller = "";

    protected override bool HoldsClock => true;

    [OneTimeSetUp]
    public async Task MakeCaller() => _caller = await Mira.NewKeyAsync("operator", key => key.NeverExpires = true);

    [Test]
    public async Task A_valid_key_is_described()
    {
        var token = await Mira.NewKeyAsync("viewer", key =>
        {
            key.Owner = "team";
            key.Metadata = new Dictionary<string, string> { ["env"] = "prod" };
            key.Permissions = ["documents:*"];
        });
        var answer = await VerifyAsync(token);
        var json = Judge(answer, "valid", token);
        Assert.That(json.GetProperty("name").GetString(), Is.EqualTo("a viewer"));
        Assert.That(json.GetProperty("role").GetString(), Is.EqualTo("viewer"));
        Assert.That(json.GetProperty("owner").GetString(), Is.EqualTo("team"));
        Assert.That(json.GetProperty("metadata").ToString(), Is.EqualTo("""{"env":"prod"}"""));
        Assert.That(json.GetProperty("permissions").ToString(), Is.EqualTo("""["documents:*","keys:read"]"""));
        Assert.That(answer.Body, Does.Not.Contain(token[21..]));
    }

    [Test]
    public async Task Who_did_not_prove_the_secret_learns_nothing()
    {
        var token = await Mira.NewKeyAsync("viewer");
        await RevokeAsync(token);
        var id = KeyId.TryParse(token[..21], out var known) ? known : throw new FormatException();
        foreach (var bad in new[] { "", " ", "abc", token[..^1], $" {token}", Token.Generate(id).Reveal(), Token.Generate(KeyId.Generate()).Reveal() })
        {
            var answer = await VerifyAsync(bad);
            Assert.That(answer.Properties(), Is.EqualTo(Unproved));
            Assert.That(answer.Json.GetProperty("valid").GetBoolean(), Is.False);
            Assert.That(answer.Code, Is.EqualTo("invalid_key"));
        }
    }

    [Test]
    public async Task A_dead_key_is_described_with_the_reason()
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.ExpiryDays = 1);
        await PatchAsync(token, """{"disabled":true}""");
        Judge(await VerifyAsync(token), "key_disabled", token);

        Mira.Clock!.Advance(TimeSpan.FromDays(1));
        Judge(await VerifyAsync(token), "key_expired", token);

        await RevokeAsync(token);
        Judge(await VerifyAsync(token), "key_revoked", token);
    }

    [Test]
    public async Task A_rotated_key_is_described_by_the_secret_that_was_presented()
    {
        var old = await Mira.NewKeyAsync("viewer", key => key.ExpiryDays = 10);
        var rotated = await PostAsync($"/api/keys/{old[..21]}/rotate", """{"expiry_days":20,"grace_minutes":5}""");
        var expiry = Judge(await VerifyAsync(old), "valid", old).GetProperty("expires_at").GetDateTimeOffset();
        Assert.That(expiry, Is.LessThan(rotated.Json.GetProperty("expires_at").GetDateTimeOffset()));

        Mira.Clock!.Advance(TimeSpan.FromMinutes(5));
        Judge(await VerifyAsync(old), "key_rotated_out", old);
        Judge(await VerifyAsync(rotated.Json.GetProperty("api_key").GetString()!), "valid", old);
    }

    [TestCase("\"10.1.2.3\"", "valid")]
    [TestCase("\"::ffff:10.1.2.3\"", "valid")]
    [TestCase("\"2001:db8::1\"", "valid")]
    [TestCase("\"11.1.2.3\"", "ip_not_allowed")]
    [TestCase("\"127.0.0.1\"", "ip_not_allowed")]
    [TestCase("null", "ip_not_allowed")]
    public async Task A_key_with_addresses_needs_the_one_it_came_from(string ip, string code)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.0/8", "2001:db8::/64"]);
        Judge(await VerifyAsync(token, $",\"ip\":{ip}"), code, token);
        if (ip == "null")
            Judge(await VerifyAsync(token), code, token);
    }

    [Test]
    public async Task The_callers_own_address_does_not_stand_in()
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["127.0.0.1"]);
        Judge(await VerifyAsync(token), "ip_not_allowed", token);
    }

    [TestCase("[]", "valid")]
    [TestCase("[\"documents:read\"]", "valid")]
    [TestCase("[\"documents:read\",\"documents:write.all\",\"a:b\",\"keys:read\"]", "valid")]
    [TestCase("[\"documents:read\",\"b:c\"]", "insufficient_permission")]
    [TestCase("[\"document:read\"]", "insufficient_permission")]
    [TestCase("[\"documents2:read\"]", "insufficient_permission")]
    [TestCase("[\"a:bc\"]", "insufficient_permission")]
    [TestCase("[\"keys:manage\"]", "insufficient_permission")]
    public async Task All_permissions_asked_for_must_be_there(string asked, string code)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.Permissions = ["documents:*", "a:b"]);
        Judge(await VerifyAsync(token, $",\"permissions\":{asked}"), code, token);
    }

    [Test]
    public async Task The_address_comes_before_the_permission_and_the_state_before_both()
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.0/8"]);
        Judge(await VerifyAsync(token, ",\"permissions\":[\"x:y\"]"), "ip_not_allowed", token);
        await RevokeAsync(token);
        Judge(await VerifyAsync(token, ",\"permissions\":[\"x:y\"]"), "key_revoked", token);
    }

    [TestCase("\"permissions\":[\"documents:*\"]", "permissions")]
    [TestCase("\"permissions\":[\"*\"]", "permissions")]
    [TestCase("\"permissions\":[\"documents\"]", "permissions")]
    [TestCase("\"permissions\":[\"Documents:read\"]", "permissions")]
    [TestCase("\"permissions\":[\"\"]", "permissions")]
    [TestCase("\"permissions\":[null]", "permissions")]
    [TestCase("\"cost\":-1", "cost")]
    [TestCase("\"cost\":10000001", "cost")]
    [TestCase("\"cost\":99999999999999999999", "cost")]
    [TestCase("\"ip\":\"\"", "ip")]
    [TestCase("\"ip\":\"10.0.0.0/8\"", "ip")]
    [TestCase("\"ip\":\"010.0.0.1\"", "ip")]
    [TestCase("\"ip\":\"host.example\"", "ip")]
    public async Task A_bad_question_is_refused_field_by_field(string field, string name)
    {
        var answer = (await VerifyAsync(Mira.Admin, "," + field)).ShouldBeProblem(400, "validation_failed");
        Assert.That(answer.Json.GetProperty("errors").EnumerateObject().Single().Name, Is.EqualTo(name));
    }

    [TestCase("{}")]
    [TestCase("""{"api_key":null}""")]
    public async Task Without_a_key_there_is_no_question(string body)
    {
        var answer = (await PostAsync("/api/keys/verify", body, _caller)).ShouldBeProblem(400, "validation_failed");
        Assert.That(answer.Json.GetProperty("errors").EnumerateObject().Single().Name, Is.EqualTo("api_key"));
    }

    [Test]
    public async Task A_hundred_and_one_permissions_are_too_many()
    {
        var asked = string.Join(',', Enumerable.Range(0, 101).Select(number => $"\"documents:a{number}\""));
        (await VerifyAsync(Mira.Admin, $",\"permissions\":[{asked}]")).ShouldBeProblem(400, "validation_failed");
    }

    [TestCase("0")]
    [TestCase("1")]
    [TestCase("10000000")]
    [TestCase("null")]
    public async Task A_cost_may_be_given(string cost)
    {
        // Beyond the key's limit the answer is another one, but never an error.
        var answer = await VerifyAsync(Mira.Admin, $",\"cost\":{cost}");
        Assert.That((answer.Status, answer.Code), Is.AnyOf((200, "valid"), (200, "rate_limited")));
    }

    [Test]
    public async Task Bad_keys_asked_about_are_not_the_callers_failures()
    {
        for (var i = 0; i < 80; i++)
            Assert.That((await VerifyAsync(Token.Generate(KeyId.Generate()).Reveal())).Status, Is.EqualTo(200));
        Assert.That((await SendAsync("GET", "/api/auth/validate", _caller)).Status, Is.EqualTo(200));
        (await SendAsync("GET", "/api/auth/validate", "bad")).ShouldBeProblem(401, "invalid_key");
    }

    [Test]
    public async Task Only_who_may_verify_is_answered()
    {
        var viewer = await Mira.NewKeyAsync("viewer");
        var answer = (await VerifyAsync(Mira.Admin, caller: viewer)).ShouldBeProblem(403, "insufficient_permission");
        Assert.That(answer.Json.GetProperty("detail").GetString(), Does.Contain("keys:verify"));
        Assert.That((await VerifyAsync(Mira.Admin, caller: Mira.Admin)).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task A_change_is_seen_at_the_next_question()
    {
        var token = await Mira.NewKeyAsync("viewer");
        for (var round = 0; round < 5; round++)
        {
            await PatchAsync(token, """{"disabled":true}""");
            Judge(await VerifyAsync(token), "key_disabled", token);
            await PatchAsync(token, """{"disabled":false}""");
            Judge(await VerifyAsync(token), "valid", token);
        }
    }

    private static JsonElement Judge(WireAnswer answer, string code, string token)
    {
        Assert.That(answer.Status, Is.EqualTo(200), answer.Body);
        Assert.That(answer.Properties(), Is.EqualTo(All), answer.Body);
        Assert.That(answer.Code, Is.EqualTo(code));
        Assert.That(answer.Json.GetProperty("valid").GetBoolean(), Is.EqualTo(code == "valid"));
        Assert.That(answer.Json.GetProperty("key_id").GetString(), Is.EqualTo(MiraHost.IdOf(token)));
        return answer.Json;
    }

    private Task<WireAnswer> VerifyAsync(string token, string more = "", string? caller = null) =>
        PostAsync("/api/keys/verify", $"{{\"api_key\":\"{token}\"{more}}}", caller ?? _caller);

    private Task<WireAnswer> RevokeAsync(string token) => SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}");
}
