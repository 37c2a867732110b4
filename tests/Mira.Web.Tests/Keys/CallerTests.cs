using Mira.Client;
using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>What the holder of a key that does not work is told, and what everybody else is not.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class CallerTests : SharedHost
{
    private const string Challenge = "Bearer realm=\"mira\", error=\"invalid_token\"";

    [Test]
    public async Task An_expired_key_is_told_so_from_the_moment_it_ends()
    {
        var made = await CreateAsync(days: 1);
        Host.Clock!.Advance(TimeSpan.FromDays(1) - TimeSpan.FromMilliseconds(1));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
        Host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_expired"));
    }

    [Test]
    public async Task A_revoked_or_disabled_key_is_told_so()
    {
        var revoked = await CreateAsync();
        var disabled = await CreateAsync();
        await Admin.RevokeKeyAsync(revoked.KeyId);
        await Admin.UpdateKeyAsync(disabled.KeyId, new UpdateKey { Disabled = true });
        Assert.That(await VerdictOnAsync(revoked.ApiKey), Is.EqualTo("401 key_revoked"));
        Assert.That(await VerdictOnAsync(disabled.ApiKey), Is.EqualTo("401 key_disabled"));
    }

    [Test]
    public async Task The_weightiest_reason_is_the_one_told()
    {
        var made = await CreateAsync(days: 1);
        var rotated = await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { GraceMinutes = 1 });
        await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Disabled = true, AllowedIps = ["192.0.2.1"] });
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("401 key_disabled"));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_disabled"));

        Host.Clock!.Advance(TimeSpan.FromDays(1));
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("401 key_expired"));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_rotated_out"));

        await Admin.RevokeKeyAsync(made.KeyId);
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("401 key_revoked"));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_revoked"));
    }

    [Test]
    public async Task Who_did_not_prove_the_secret_learns_nothing()
    {
        var revoked = await CreateAsync();
        await Admin.RevokeKeyAsync(revoked.KeyId);
        var live = (await CreateAsync()).ApiKey!;
        string[] wrong =
        [
            "x", "", $"{live} x", live.ToLowerInvariant(), live[..70], $"{live}0",
            ForgedFor(KeyId.Generate()), ForgedFor(live), ForgedFor(revoked.ApiKey!), $"{live[..65]}{(live.EndsWith("000000", StringComparison.Ordinal) ? "111111" : "000000")}",
        ];

        var bodies = new HashSet<string>();
        foreach (var token in wrong)
        {
            var answer = await Host.Http().CallAsync("GET", "/api/auth/validate", headers: ("X-API-Key", token));
            Assert.That(answer.Verdict, Is.EqualTo("401 invalid_key"), token.Length.ToString(null, null));
            Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo(Challenge));
            bodies.Add(answer.Text.Replace(answer.Field("trace_id")!, "", StringComparison.Ordinal));
        }

        Assert.That(bodies, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Five_ended_secrets_are_remembered_and_no_more()
    {
        var made = await CreateAsync();
        var tokens = new List<string> { made.ApiKey! };
        for (var i = 0; i < 6; i++)
        {
            tokens.Add((await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { GraceMinutes = 0 })).ApiKey!);
            Host.Clock!.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.That(await VerdictOnAsync(tokens[0]), Is.EqualTo("401 invalid_key"));
        foreach (var ended in tokens[1..6])
            Assert.That(await VerdictOnAsync(ended), Is.EqualTo("401 key_rotated_out"));
        Assert.That(await VerdictOnAsync(tokens[6]), Is.EqualTo("200"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 2, 3, 4, 5, 6, 7 }));
    }

    [TestCase("Authorization", "Bearer {0}", "200")]
    [TestCase("Authorization", "bearer {0}", "200")]
    [TestCase("Authorization", "BEARER    {0}", "200")]
    [TestCase("X-API-Key", "{0}", "200")]
    [TestCase("x-api-key", "{0}", "200")]
    [TestCase("Authorization", "{0}", "401 missing_credentials")]
    [TestCase("Authorization", "Basic {0}", "401 missing_credentials")]
    [TestCase("Authorization", "Bearer{0}", "401 missing_credentials")]
    [TestCase("Authorization", "Bearer", "401 invalid_key")]
    [TestCase("X-API-Key", "", "401 invalid_key")]
    [TestCase("X-API-Key", "Bearer {0}", "401 invalid_key")]
    public async Task A_key_is_presented_in_one_of_two_headers(string header, string form, string expected)
    {
        var value = string.Format(null, form, Host.Admin);
        var answer = await Host.Http().CallAsync("GET", "/api/auth/validate", headers: (header, value));
        Assert.That(answer.Verdict, Is.EqualTo(expected));
        if (expected.StartsWith("401", StringComparison.Ordinal))
            Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo(expected.EndsWith("missing_credentials", StringComparison.Ordinal) ? "Bearer realm=\"mira\"" : Challenge));
    }

    [Test]
    public async Task Two_credentials_are_one_too_many()
    {
        var bearer = $"Authorization: Bearer {Host.Admin}";
        var header = $"X-API-Key: {Host.Admin}";
        string[][] pairs = [[bearer, header], [header, header], [bearer, bearer], [bearer, "Authorization: Basic x"], [header, "Authorization: Bearer"]];
        foreach (var lines in pairs)
        {
            var answer = await Host.Address.SendLinesAsync("GET", "/api/auth/validate", lines);
            Assert.That(answer, Does.StartWith("HTTP/1.1 400").And.Contains("\"ambiguous_credentials\""));
        }
    }

    [Test]
    public async Task Another_scheme_beside_a_key_is_nothing()
    {
        var answer = await Host.Address.SendLinesAsync("GET", "/api/auth/validate", $"X-API-Key: {Host.Admin}", "Authorization: Basic eDp5");
        Assert.That(answer, Does.StartWith("HTTP/1.1 200"));
    }

    [TestCase("api_key")]
    [TestCase("access_token")]
    [TestCase("API_KEY")]
    public async Task A_key_in_the_address_is_refused(string name)
    {
        var answer = await Host.Http().CallAsync("GET", $"/api/auth/validate?{name}={Host.Admin}");
        Assert.That(answer.Verdict, Is.EqualTo("400 credentials_in_query"));
        Assert.That((await AdminHttp.CallAsync("GET", $"/api/auth/validate?{name}=x")).Verdict, Is.EqualTo("400 credentials_in_query"));
    }

    private static string ForgedFor(string token) =>
        KeyId.TryParse(MiraHost.IdOf(token), out var id) ? ForgedFor(id) : throw new ArgumentException("No token.", nameof(token));

    private static string ForgedFor(KeyId id) => Token.Generate(id).Reveal();
}
