using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Limits;

/// <summary>What becomes of who tries keys, and of those who share its address.</summary>
internal sealed class FailureLimitTests : SharedHostTests
{
    private const string Validate = "/api/auth/validate";

    private int _addresses;

    protected override bool HoldsClock => true;

    // So that each test has addresses of its own. Empty is unset: 60.
    protected override (string Name, string Value)[] Settings => [("MIRA_TRUSTED_PROXIES", "127.0.0.1"), ("RATE_LIMIT_FAILURES", "")];

    [Test]
    public async Task After_sixty_invalid_keys_in_a_minute_an_address_is_told_to_wait()
    {
        var address = NewAddress();
        for (var failure = 0; failure < 60; failure++)
            (await TryAsync(address)).ShouldBeProblem(401, "invalid_key");

        Mira.Clock!.Advance(TimeSpan.FromSeconds(15));
        var refused = (await TryAsync(address)).ShouldBeProblem(429, "too_many_failures");
        Assert.That(refused.Header("Retry-After"), Is.EqualTo("45"));
        Assert.That((refused.Header("WWW-Authenticate"), refused.Header("RateLimit")), Is.EqualTo(((string?)null, (string?)null)));

        Mira.Clock.Advance(TimeSpan.FromSeconds(45));
        (await TryAsync(address)).ShouldBeProblem(401, "invalid_key");
    }

    [Test]
    public async Task All_ways_of_being_invalid_count_and_are_refused_alike()
    {
        var key = await Mira.NewKeyAsync("viewer");
        var id = KeyId.TryParse(MiraHost.IdOf(key), out var known) ? known : throw new FormatException();
        string[] invalid = ["", "x", key[..^1], key + "0", Token.Generate(id).Reveal(), Token.Generate(KeyId.Generate()).Reveal()];
        var address = NewAddress();
        for (var failure = 0; failure < 60; failure++)
            (await TryAsync(address, invalid[failure % invalid.Length])).ShouldBeProblem(401, "invalid_key");
        foreach (var token in invalid)
        {
            (await TryAsync(address, token)).ShouldBeProblem(429, "too_many_failures");
            (await TryAsync(address, token, "/api/nothing")).ShouldBeProblem(429, "too_many_failures");
            (await TryAsync(address, token, "/api/auth/forward")).ShouldBeProblem(429, "too_many_failures");
        }
    }

    [Test]
    public async Task Nothing_else_is_changed_for_that_address()
    {
        var (live, dead) = (await Mira.NewKeyAsync("viewer"), await Mira.NewKeyAsync("viewer"));
        var elsewhere = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.1"]);
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(dead)}");
        var address = NewAddress();
        await ExhaustAsync(address);

        Assert.That((await TryAsync(address, live)).Status, Is.EqualTo(200));
        (await TryAsync(address, dead)).ShouldBeProblem(401, "key_revoked");
        (await TryAsync(address, elsewhere)).ShouldBeProblem(403, "ip_not_allowed");
        (await SendAnyAsync("GET", Validate, [("X-Forwarded-For", address)])).ShouldBeProblem(401, "missing_credentials");
        Assert.That((await TryAsync(address, "bad", "/health")).Status, Is.EqualTo(200));
        Assert.That((await TryAsync(address, "bad", "/swagger/v1/swagger.json")).Status, Is.EqualTo(200));
        Assert.That(
            (await SendAsync("POST", "/api/keys/verify", null, MiraHost.Json("""{"api_key":"bad"}"""), ("X-Forwarded-For", address))).Code, Is.EqualTo("invalid_key"));
    }

    [Test]
    public async Task Other_addresses_are_not_concerned()
    {
        var (v4, v6) = (NewAddress(), "2001:db8:1:2::7");
        await ExhaustAsync(v4);
        await ExhaustAsync(v6);
        (await TryAsync(v4)).ShouldBeProblem(429, "too_many_failures");
        (await TryAsync("::ffff:" + v4)).ShouldBeProblem(429, "too_many_failures");
        (await TryAsync("2001:db8:1:2:ffff::1")).ShouldBeProblem(429, "too_many_failures");
        (await TryAsync("2001:db8:1:3::7")).ShouldBeProblem(401, "invalid_key");
        (await TryAsync(NewAddress())).ShouldBeProblem(401, "invalid_key");
    }

    [Test]
    public async Task What_is_no_invalid_key_does_not_count()
    {
        var dead = await Mira.NewKeyAsync("viewer");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(dead)}");
        var address = NewAddress();
        for (var call = 0; call < 70; call++)
        {
            await SendAnyAsync("GET", Validate, [("X-Forwarded-For", address)]);
            await TryAsync(address, dead);
            await TryAsync(address, "bad", "/health/live");
            await TryAsync(address, "bad", Validate + "?api_key=bad");
            await SendAsync("GET", Validate, "bad", null, ("X-API-Key", "bad"), ("X-Forwarded-For", address));
            await SendAsync("POST", "/api/keys/verify", null, MiraHost.Json("""{"api_key":"bad"}"""), ("X-Forwarded-For", address));
        }

        (await TryAsync(address)).ShouldBeProblem(401, "invalid_key");
    }

    [Test]
    public async Task The_setting_changes_how_many()
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("RATE_LIMIT_FAILURES", "2"));
        using var http = mira.Http("bad");
        var verdicts = new[] { await http.ValidateAsync(), await http.ValidateAsync(), await http.ValidateAsync() }.Select(answer => answer.Verdict);
        Assert.That(verdicts, Is.EqualTo(new[] { "401 invalid_key", "401 invalid_key", "429 too_many_failures" }));
    }

    private string NewAddress() => $"198.51.100.{++_addresses}";

    private Task<WireAnswer> TryAsync(string address, string token = "bad", string path = Validate) =>
        SendAsync("GET", path, token, null, ("X-Forwarded-For", address));

    private async Task ExhaustAsync(string address)
    {
        for (var failure = 0; failure < 60; failure++)
            await TryAsync(address);
    }
}
