using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Audit;

/// <summary>Refused calls are on record, one event for many of a kind.</summary>
[Parallelizable(ParallelScope.Children)]
internal sealed class CallEventTests
{
    [Test]
    public async Task Failed_authentication_is_gathered_by_address_and_reason()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var token = await mira.NewKeyAsync("viewer");
        await mira.Client().RevokeKeyAsync(MiraHost.IdOf(token));
        var anonymous = mira.Http();
        for (var i = 0; i < 3; i++)
            await anonymous.CallAsync("GET", "/api/keys", headers: [("X-API-Key", $"wrong {i}"), ("User-Agent", "thief/1.0")]);
        await anonymous.CallAsync("GET", "/api/keys", headers: ("X-API-Key", token));
        await anonymous.CallAsync("GET", "/api/keys", headers: [("X-API-Key", token), ("Authorization", $"Bearer {token}")]);
        await anonymous.CallAsync("GET", $"/api/keys?api_key={token}");
        await anonymous.CallAsync("GET", "/api/keys");
        await anonymous.CallAsync("GET", "/health", headers: ("X-API-Key", "wrong"));
        await mira.Http(mira.Admin).CallAsync("POST", "/api/keys/verify", $$"""{"api_key":"{{token}}"}""");

        var failed = await GatheredAsync(mira, "auth.failed");
        Assert.That(
            failed.Select(entry => (entry.Reason, entry.Count, entry.Subject, entry.Actor.KeyId, entry.Actor.Ip)),
            Is.EquivalentTo(new[]
            {
                ("invalid_key", (long?)4, (string?)null, (string?)null, "127.0.0.1"), ("key_revoked", 1, MiraHost.IdOf(token), null, "127.0.0.1"),
                ("ambiguous_credentials", 1, null, null, "127.0.0.1"), ("credentials_in_query", 1, null, null, "127.0.0.1"),
            }));
        Assert.That(failed.Single(entry => entry.Reason == "invalid_key").Actor.UserAgent, Is.EqualTo("thief/1.0"));
        Assert.That(failed.Select(entry => (entry.Outcome, entry.FirstAt, entry.LastAt)), Is.All.EqualTo(("failure", (DateTimeOffset?)failed[0].FirstAt, (DateTimeOffset?)failed[0].FirstAt)));
    }

    [Test]
    public async Task Refused_access_is_gathered_by_key_and_reason()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var viewer = await mira.NewKeyAsync("viewer");
        var elsewhere = await mira.NewKeyAsync("viewer", key => key.AllowedIps = ["192.0.2.0/24"]);
        var old = await mira.NewKeyAsync("admin");
        await mira.Client().RotateKeyAsync(MiraHost.IdOf(old));
        await mira.Http(viewer).CallAsync("GET", "/api/audit");
        await mira.Http(viewer).CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer"}""");
        await mira.Http(viewer).CallAsync("GET", "/api/auth/forward?role=admin");
        await mira.Http(elsewhere).CallAsync("GET", "/api/keys");
        await mira.Http(old).CallAsync("DELETE", $"/api/keys/{MiraHost.IdOf(viewer)}");

        var denied = await GatheredAsync(mira, "access.denied");
        Assert.That(
            denied.Select(entry => (entry.Reason, entry.Count, entry.Subject, entry.Actor.KeyId, entry.Actor.Role)),
            Is.EquivalentTo(new[]
            {
                ("insufficient_permission", (long?)3, MiraHost.IdOf(viewer), MiraHost.IdOf(viewer), "viewer"),
                ("ip_not_allowed", 1, MiraHost.IdOf(elsewhere), MiraHost.IdOf(elsewhere), "viewer"),
                ("superseded_secret", 1, MiraHost.IdOf(old), MiraHost.IdOf(old), "admin"),
            }));
    }

    [Test]
    public async Task Exceeded_limits_are_gathered_by_key_or_by_address()
    {
        await using var mira = MiraHost.Start(holdClock: true, settings: ("RATE_LIMIT_FAILURES", "1"));
        var own = await mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = 1);
        var asked = await mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = 1);
        for (var i = 0; i < 3; i++)
        {
            await mira.Http(own).CallAsync("GET", "/api/auth/validate");
            await mira.Http(mira.Admin).CallAsync("POST", "/api/keys/verify", $$"""{"api_key":"{{asked}}"}""");
            await mira.Http("wrong").CallAsync("GET", "/api/auth/validate");
        }

        var limited = await GatheredAsync(mira, "limit.exceeded");
        Assert.That(
            limited.Select(entry => (entry.Reason, entry.Count, entry.Subject, entry.Actor.KeyId)),
            Is.EquivalentTo(new[]
            {
                ("rate_limited", (long?)2, MiraHost.IdOf(own), (string?)MiraHost.IdOf(own)), ("rate_limited", 2, MiraHost.IdOf(asked), MiraHost.IdOf(mira.Admin)),
                ("too_many_failures", 2, null, null),
            }));
    }

    [Test]
    public async Task Reading_the_trail_is_on_record_too()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        for (var i = 0; i < 3; i++)
            await mira.Http(mira.Admin).CallAsync("GET", "/api/audit");
        // Looking for the event is a read too, and a slow look makes an event of its own: the oldest one is about the
        // three.
        var read = (await GatheredAsync(mira, "audit.read"))[^1];
        Assert.That((read.Actor.KeyId, read.Outcome, read.Reason), Is.EqualTo((MiraHost.IdOf(mira.Admin), "success", (string?)null)));
        Assert.That(read.Count, Is.GreaterThanOrEqualTo(3));
    }

    [Test]
    public async Task Start_and_stop_carry_the_version_and_a_fingerprint_of_the_settings()
    {
        using var folder = new TestFolder();
        await using (MiraHost.Start(folder: folder))
        {
        }

        await using (MiraHost.Start(folder: folder, settings: ("API_KEY_DEFAULT_EXPIRY_DAYS", "30")))
        {
        }

        await using var mira = MiraHost.Start(folder: folder);
        var events = (await mira.Client().ListAuditEventsAsync(limit: 200)).Events.Where(entry => entry.Type.StartsWith("system.", StringComparison.Ordinal)).ToList();
        var prints = events.Select(entry => entry.Changes!["configuration"].To!.ToString()).Reverse().ToList();
        Assert.That(prints, Has.Count.EqualTo(5).And.All.Match("^[0-9a-f]{64}$"));
        Assert.That((prints[1], prints[3], prints[4]), Is.EqualTo((prints[0], prints[2], prints[0])));
        Assert.That(prints[2], Is.Not.EqualTo(prints[0]));
        Assert.That(events.Select(entry => entry.Changes!["version"].To!.ToString()), Is.All.Not.Empty);
    }

    private static async Task<IReadOnlyList<AuditEventView>> GatheredAsync(MiraHost mira, string type)
    {
        IReadOnlyList<AuditEventView> found = [];
        await MiraProcess.WaitForAsync(async () =>
        {
            mira.Clock!.Advance(TimeSpan.FromSeconds(10));
            found = (await mira.Client().ListAuditEventsAsync(type: type)).Events;
            return found.Count > 0;
        });
        return found;
    }
}
