using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>How a key is presented, and what is no way of presenting one.</summary>
internal sealed class CredentialTests : SharedHostTests
{
    private const string Path = "/api/auth/validate";
    private const string Missing = "Bearer realm=\"mira\"";
    private const string Invalid = "Bearer realm=\"mira\", error=\"invalid_token\"";

    [TestCase("Bearer {0}")]
    [TestCase("bearer {0}")]
    [TestCase("BEARER {0}")]
    [TestCase("bEaReR {0}")]
    [TestCase("Bearer    {0}")]
    public async Task Bearer_in_any_case_and_any_blanks_is_a_key(string value) =>
        Assert.That((await SendAnyAsync("GET", Path, [("Authorization", Fill(value))])).Status, Is.EqualTo(200));

    [TestCase("X-API-Key")]
    [TestCase("x-api-key")]
    public async Task The_other_header_is_as_good(string name) =>
        Assert.That((await SendAnyAsync("GET", Path, [(name, Mira.Admin)])).Status, Is.EqualTo(200));

    [TestCase("Basic dTpw")]
    [TestCase("Token {0}")]
    [TestCase("Bearer{0}")]
    [TestCase("Bearerx {0}")]
    [TestCase("{0}")]
    [TestCase("Digest username=\"a\"")]
    public async Task Another_scheme_counts_as_nothing(string value)
    {
        var answer = (await SendAnyAsync("GET", Path, [("Authorization", Fill(value))])).ShouldBeProblem(401, "missing_credentials");
        Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo(Missing));
        Assert.That((await SendAnyAsync("GET", Path, [("Authorization", Fill(value)), ("X-API-Key", Mira.Admin)])).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task Nothing_is_missing_credentials()
    {
        var answer = (await SendAnyAsync("GET", Path)).ShouldBeProblem(401, "missing_credentials");
        Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo(Missing));
    }

    [Test]
    public async Task Whatever_is_wrong_with_a_key_the_answer_is_one()
    {
        var key = KeyId.TryParse(MiraHost.IdOf(Mira.Admin), out var id) ? id : throw new FormatException();
        (string Name, string Value)[] bad =
        [
            ("Authorization", "Bearer"),
            ("Authorization", "Bearer "),
            ("X-API-Key", ""),
            ("X-API-Key", "abc"),
            ("X-API-Key", $"{Mira.Admin},{Mira.Admin}"),
            ("X-API-Key", $"Bearer {Mira.Admin}"),
            ("Authorization", $"Bearer Bearer {Mira.Admin}"),
            ("Authorization", $"Bearer \"{Mira.Admin}\""),
            ("Authorization", $"Bearer {Mira.Admin[..^1]}"),
            ("Authorization", $"Bearer {Mira.Admin}0"),
            ("Authorization", $"Bearer {Mira.Admin.ToUpperInvariant()}"),
            ("Authorization", $"Bearer {WithLastChanged(Mira.Admin)}"),
            ("Authorization", $"Bearer {Token.Generate(KeyId.Generate()).Reveal()}"),
            ("Authorization", $"Bearer {Token.Generate(key).Reveal()}"),
            ("X-API-Key", Token.Generate(key).Reveal()),
            ("X-API-Key", new string('0', 71)),
            ("X-API-Key", new string('A', 5_000)),
        ];
        var bodies = new HashSet<string>();
        foreach (var header in bad)
        {
            var answer = (await SendAnyAsync("GET", Path, [header])).ShouldBeProblem(401, "invalid_key");
            Assert.That(answer.Header("WWW-Authenticate"), Is.EqualTo(Invalid), header.Value);
            bodies.Add(answer.Body.Replace(answer.Json.GetProperty("trace_id").GetString()!, "", StringComparison.Ordinal));
        }

        Assert.That(bodies, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Bytes_outside_ascii_are_no_key()
    {
        var answer = await SendRawAsync($"GET {Path} HTTP/1.1\nHost: mira\nX-API-Key: mira_key_\u00e9\u00ff");
        Assert.That(answer.Status, Is.AnyOf(400, 401), answer.Body);
    }

    [TestCase("Authorization: Bearer {0}", "X-API-Key: {0}")]
    [TestCase("Authorization: Bearer", "X-API-Key: {0}")]
    [TestCase("Authorization: Bearer {0}", "X-API-Key:")]
    [TestCase("Authorization: Bearer {0}", "Authorization: Bearer {0}")]
    [TestCase("Authorization: Basic dTpw", "Authorization: Bearer {0}")]
    [TestCase("X-API-Key: {0}", "X-API-Key: {0}")]
    [TestCase("X-API-Key: {0}", "x-api-key: abc")]
    public async Task Two_credentials_are_ambiguous(string first, string second)
    {
        var answer = await SendRawAsync($"GET {Path} HTTP/1.1\nHost: mira\n{Fill(first)}\n{Fill(second)}");
        answer.ShouldBeProblem(400, "ambiguous_credentials");
        Assert.That(answer.Header("WWW-Authenticate"), Is.Null);
    }

    [TestCase("api_key")]
    [TestCase("access_token")]
    [TestCase("API_KEY")]
    [TestCase("Access_Token")]
    [TestCase("api%5Fkey")]
    public async Task A_key_in_the_address_is_refused_and_not_repeated(string name)
    {
        var token = await Mira.NewKeyAsync("viewer");
        (string, string)[][] credentials = [[], [("X-API-Key", Mira.Admin)], [("X-API-Key", "bad")]];
        foreach (var headers in credentials)
        {
            foreach (var path in new[] { Path, "/api/keys", "/nothing" })
            {
                var answer = (await SendAnyAsync("GET", $"{path}?a=b&{name}={token}", headers)).ShouldBeProblem(400, "credentials_in_query");
                Assert.That(answer.Body, Does.Not.Contain(token));
            }
        }

        Assert.That(Mira.Log, Does.Not.Contain(token));
    }

    [TestCase("?api_key")]
    [TestCase("?api_key=")]
    public async Task An_empty_one_is_refused_too(string query) => (await SendAsync("GET", Path + query)).ShouldBeProblem(400, "credentials_in_query");

    [TestCase("?apikey=a")]
    [TestCase("?xapi_key=a")]
    [TestCase("?q=api_key")]
    public async Task A_parameter_of_another_name_is_none(string query) => (await SendAsync("GET", Path + query)).ShouldBeProblem(400, "invalid_parameter");

    [TestCase("/health/live")]
    [TestCase("/health/ready")]
    [TestCase("/health")]
    [TestCase("/swagger/v1/swagger.json")]
    public async Task A_public_endpoint_does_not_mind(string path)
    {
        (string, string)[][] credentials =
        [
            [], [("X-API-Key", "bad")], [("Authorization", "Bearer")], [("X-API-Key", Mira.Admin), ("Authorization", $"Bearer {Mira.Admin}")],
        ];
        foreach (var headers in credentials)
        {
            Assert.That((await SendAnyAsync("GET", path, headers)).Status, Is.EqualTo(200));
            Assert.That((await SendAnyAsync("GET", $"{path}?api_key=x", headers)).Status, Is.EqualTo(200));
        }
    }

    [Test]
    public async Task Health_says_more_to_who_may_see_figures_and_to_nobody_else()
    {
        Assert.That(await DetailsAsync(Mira.Admin), Is.True);
        Assert.That(await DetailsAsync(await Mira.NewKeyAsync("operator")), Is.False);
        Assert.That(await DetailsAsync(await Mira.NewKeyAsync("viewer")), Is.False);
        Assert.That(await DetailsAsync(Token.Generate(KeyId.Generate()).Reveal()), Is.False);

        var revoked = await Mira.NewKeyAsync("admin");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(revoked)}");
        Assert.That(await DetailsAsync(revoked), Is.False);
        Assert.That((await SendAsync("GET", "/health/ready")).Properties(), Is.EqualTo(new[] { "status" }).Or.EqualTo(new[] { "status", "details" }));
    }

    private static string WithLastChanged(string token) => token[..^1] + (token[^1] == '0' ? '1' : '0');

    private string Fill(string format) => format.Replace("{0}", Mira.Admin, StringComparison.Ordinal);

    private async Task<bool> DetailsAsync(string token)
    {
        var answer = await SendAsync("GET", "/health", token);
        Assert.That(answer.Status, Is.EqualTo(200));
        Assert.That(answer.Json.GetProperty("status").GetString(), Is.EqualTo("healthy"));
        return answer.Json.TryGetProperty("details", out var details) && details.ValueKind == System.Text.Json.JsonValueKind.Object;
    }
}
