using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>From where a key may be used, when nobody stands between.</summary>
internal sealed class AddressTests : SharedHostTests
{
    [TestCase("127.0.0.1", true)]
    [TestCase("127.0.0.0/8", true)]
    [TestCase("::ffff:127.0.0.1", true)]
    [TestCase("0.0.0.0/0", true)]
    [TestCase("127.0.0.2", false)]
    [TestCase("10.0.0.0/8", false)]
    [TestCase("::1", false)]
    [TestCase("::/0", false)]
    public async Task A_key_with_addresses_opens_from_there_alone(string allowed, bool opens)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = [allowed]);
        Judge(await SendAsync("GET", "/api/auth/validate", token), opens);

        var oneOfThem = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["192.0.2.1", allowed]);
        Judge(await SendAsync("GET", "/api/auth/validate", oneOfThem), opens);
    }

    [TestCase("203.0.113.7")]
    [TestCase("127.0.0.1")]
    public async Task Nobody_is_believed_by_default_loopback_included(string forwarded)
    {
        var here = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["127.0.0.1"]);
        var there = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["203.0.113.7"]);
        foreach (var header in new[] { "X-Forwarded-For", "Forwarded", "X-Real-IP" })
        {
            Judge(await SendAsync("GET", "/api/auth/validate", here, null, (header, forwarded)), opens: true);
            Judge(await SendAsync("GET", "/api/auth/validate", there, null, (header, forwarded)), opens: false);
        }
    }

    [Test]
    public async Task A_dead_key_is_told_so_before_its_address()
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.1"]);
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}");
        (await SendAsync("GET", "/api/auth/validate", token)).ShouldBeProblem(401, "key_revoked");
    }

    internal static void Judge(WireAnswer answer, bool opens)
    {
        if (opens)
            Assert.That(answer.Status, Is.EqualTo(200), answer.Body);
        else
            Assert.That(answer.ShouldBeProblem(403, "ip_not_allowed").Header("WWW-Authenticate"), Is.Null);
    }
}
