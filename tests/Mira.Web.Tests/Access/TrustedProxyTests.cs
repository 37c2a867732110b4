using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>Whose word counts about where a caller is.</summary>
internal sealed class TrustedProxyTests : SharedHostTests
{
    private const string Client = "203.0.113.7";

    protected override (string Name, string Value)[] Settings => [("MIRA_TRUSTED_PROXIES", " 127.0.0.1 , 10.0.0.0/8,2001:db8:1::/48")];

    [TestCase(Client, true)]
    [TestCase(Client + ":4711", true)]
    [TestCase("::ffff:" + Client, true)]
    [TestCase("198.51.100.1, " + Client, true)]
    [TestCase(Client + ", 10.1.2.3", true)]
    [TestCase(Client + ", 10.1.2.3, 10.4.5.6", true)]
    [TestCase(Client + ", 2001:db8:1::5", true)]
    [TestCase(Client + ", 198.51.100.1", false)]
    [TestCase(Client + ", 198.51.100.1, 10.1.2.3", false)]
    [TestCase(Client + ", 2001:db8:2::5", false)]
    [TestCase("10.1.2.3", false)]
    [TestCase("nonsense", false)]
    [TestCase(Client + ", nonsense", false)]
    [TestCase("", false)]
    [TestCase(null, false)]
    public async Task A_trusted_proxy_says_who_calls_and_each_hop_before_it_if_it_is_trusted_too(string? forwarded, bool opens)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = [Client]);
        AddressTests.Judge(await CallAsync(token, forwarded), opens);
    }

    [TestCase("2001:db8::7", true)]
    [TestCase("[2001:db8::7]:4711", true)]
    [TestCase("2001:db9::7", false)]
    public async Task An_address_may_be_of_the_sixth_version(string forwarded, bool opens)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["2001:db8::/64"]);
        AddressTests.Judge(await CallAsync(token, forwarded), opens);
    }

    [Test]
    public async Task The_address_believed_goes_into_the_audit_trail()
    {
        var made = await SendAsync("POST", "/api/keys", null, MiraHost.Json(ValidKey), ("X-Forwarded-For", Client));
        var events = await SendAsync("GET", $"/api/audit?key_id={made.Json.GetProperty("key_id").GetString()}");
        Assert.That(events.Json.GetProperty("events")[0].GetProperty("actor").GetProperty("ip").GetString(), Is.EqualTo(Client));
    }

    [Test]
    public async Task A_proxy_that_is_not_listed_is_not_believed()
    {
        await using var other = MiraHost.Start(settings: ("MIRA_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.2"));
        var token = await other.NewKeyAsync("viewer", key => key.AllowedIps = [Client]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate") { Headers = { { "X-Forwarded-For", Client } } };
        AddressTests.Judge(await WireAnswer.OfAsync(other.Http(token).SendAsync(request)), opens: false);
    }

    private Task<WireAnswer> CallAsync(string token, string? forwarded) => forwarded is null
        ? SendAsync("GET", "/api/auth/validate", token)
        : SendAsync("GET", "/api/auth/validate", token, null, ("X-Forwarded-For", forwarded));
}
