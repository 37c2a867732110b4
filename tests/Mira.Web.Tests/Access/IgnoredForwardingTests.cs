using System.Text.RegularExpressions;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Access;

/// <summary>Whoever runs the service is told when a proxy is not listed, and when nearly everybody is.</summary>
internal sealed class IgnoredForwardingTests
{
    private const string Ignored = "X-Forwarded-For from .* is ignored";

    [TestCase("")]
    [TestCase("10.0.0.0/8")]
    public async Task A_proxy_that_is_not_listed_is_told_once_a_minute_and_shows_in_health(string proxies)
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("MIRA_TRUSTED_PROXIES", proxies));
        Assert.That((await mira.Client().GetHealthAsync()).Details!.ForwardingIgnored, Is.False);

        await CallThroughProxyAsync(mira);
        await CallThroughProxyAsync(mira);
        Assert.That(Regex.Count(mira.Log, Ignored), Is.EqualTo(1));
        var health = await mira.Client().GetHealthAsync();
        Assert.That((health.Status, health.Details!.ForwardingIgnored), Is.EqualTo(("healthy", true)));

        mira.Clock!.Advance(TimeSpan.FromSeconds(61));
        Assert.That((await mira.Client().GetHealthAsync()).Details!.ForwardingIgnored, Is.False);
        await CallThroughProxyAsync(mira);
        Assert.That(Regex.Count(mira.Log, Ignored), Is.EqualTo(2));
    }

    [TestCase("127.0.0.1")]
    [TestCase("127.0.0.0/8,::1")]
    public async Task A_listed_proxy_is_no_news(string proxies)
    {
        await using var mira = MiraHost.Start(settings: ("MIRA_TRUSTED_PROXIES", proxies));
        await CallThroughProxyAsync(mira);
        Assert.That(mira.Log, Does.Not.Match(Ignored));
        Assert.That((await mira.Client().GetHealthAsync()).Details!.ForwardingIgnored, Is.False);
    }

    [TestCase("0.0.0.0/0", true)]
    [TestCase("10.0.0.1,::/0", true)]
    [TestCase("0.0.0.0/1,128.0.0.0/1", true)]
    [TestCase("10.0.0.0/8,2001:db8::/32", false)]
    public async Task To_trust_nearly_everybody_is_warned_of_at_the_start_and_works(string proxies, bool isWarned)
    {
        await using var mira = MiraHost.Start(settings: ("MIRA_TRUSTED_PROXIES", proxies));
        Assert.That(mira.Log, isWarned ? Does.Match("Warning MIRA_TRUSTED_PROXIES holds ") : Does.Not.Contain("MIRA_TRUSTED_PROXIES"));
        Assert.That((await mira.Client().ValidateKeyAsync()).Valid, Is.True);
    }

    private static async Task CallThroughProxyAsync(MiraHost mira)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate") { Headers = { { "X-Forwarded-For", "203.0.113.7" } } };
        using var answer = await mira.Http(mira.Admin).SendAsync(request);
        Assert.That(answer.IsSuccessStatusCode);
    }
}
