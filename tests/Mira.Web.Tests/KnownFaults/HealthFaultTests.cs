using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>Keys could be tried at <c>/health</c> without a limit and without a trace.</summary>
[Parallelizable(ParallelScope.Children)]
internal sealed class HealthFaultTests
{
    [Test]
    public async Task A_bad_key_counts_is_limited_and_recorded_and_answered_as_nobody()
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("RATE_LIMIT_FAILURES", "5"));
        var revoked = await mira.NewKeyAsync("admin");
        await mira.Client().RevokeKeyAsync(MiraHost.IdOf(revoked));
        using var anonymous = mira.Http();
        string[] tried = [.. Enumerable.Range(0, 8).Select(_ => Token.Generate(KeyId.Generate()).Reveal()), revoked];
        foreach (var token in tried)
        {
            var answer = await anonymous.CallAsync("GET", "/health", headers: ("X-API-Key", token));
            Assert.That((answer.Verdict, answer.Json.GetProperty("details").ValueKind), Is.EqualTo(("200", System.Text.Json.JsonValueKind.Null)));
        }

        Assert.That((await mira.Http("bad").ValidateAsync()).Verdict, Is.EqualTo("429 too_many_failures"));
        var metrics = await anonymous.GetStringAsync("/metrics");
        Assert.That(metrics, Does.Match("failed_authentications_total\\{reason=\"invalid_key\"\\} 5(\\.0)?\\s"));
        Assert.That(metrics, Does.Match("failed_authentications_total\\{reason=\"key_revoked\"\\} 1(\\.0)?\\s"));

        mira.Clock!.Advance(TimeSpan.FromSeconds(11));
        IReadOnlyList<Client.AuditEventView> events = [];
        await MiraProcess.WaitForAsync(async () => (events = (await mira.Client().ListAuditEventsAsync(limit: 200)).Events).Any(one => one.Type == "limit.exceeded"));
        Assert.That(
            events.Where(one => one.Type == "auth.failed").Select(one => (one.Reason, one.Count)),
            Is.EquivalentTo(new[] { ("invalid_key", (long?)5), ("key_revoked", 1) }));
        Assert.That(events.Single(one => one.Type == "limit.exceeded").Count, Is.EqualTo(4));
    }

    [Test]
    public async Task A_good_key_is_shown_the_details_from_an_address_that_failed()
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("RATE_LIMIT_FAILURES", "1"));
        for (var failure = 0; failure < 3; failure++)
            await mira.Http("bad").CallAsync("GET", "/health");
        var answer = await mira.Http(mira.Admin).CallAsync("GET", "/health");
        Assert.That(answer.Json.GetProperty("details").GetProperty("ready").GetBoolean(), Is.True);
    }
}
