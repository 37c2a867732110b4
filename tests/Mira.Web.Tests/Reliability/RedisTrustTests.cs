using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>What is believed of Redis: its certificate, and what lies in it.</summary>
internal sealed class RedisTrustTests
{
    [TestCase(true)]
    [TestCase(false)]
    public async Task Over_TLS_the_certificate_must_be_trusted(bool isTrusted)
    {
        using var certificates = new TestCertificates();
        await using var server = await RedisServer.StartTlsAsync(certificates, "--user", "mira", "on", ">secret", "~mira:*", "+@all", "--user", "default", "off");
        using var folder = new TestFolder();
        (string, string)[] settings =
        [
            ("REDIS_HOST", "localhost"), ("REDIS_PORT", $"{server.Port}"), ("REDIS_TLS", "true"), ("REDIS_USER", "mira"), ("REDIS_PASSWORD", "secret"),
        ];
        await using var process = MiraProcess.Start(folder, isTrusted ? [.. settings, ("SSL_CERT_FILE", certificates.Authority)] : settings);
        await process.WaitUntilReadyAsync();
        using var http = process.Http(folder.Admin);

        await MiraProcess.WaitForAsync(async () =>
            isTrusted ? await RedisOf(http) == "True" : process.Output.Contains("is away", StringComparison.Ordinal));
        Assert.That(await RedisOf(http), Is.EqualTo(isTrusted ? "True" : "False"));
        Assert.That((await http.ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That(process.Output + process.Error, Does.Not.Contain("secret"));
    }

    [Test]
    public async Task A_forged_entry_is_refused_and_in_the_audit_trail()
    {
        await using var server = await RedisServer.StartAsync();
        await using var host = MiraHost.Start(holdClock: true, settings: [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{server.Port}"), ("Mira:Verification:CacheSize", "100")]);
        var admin = host.Http(host.Admin);
        await MiraProcess.WaitForAsync(async () => await RedisOf(admin) == "True");
        var token = await host.NewKeyAsync("viewer");
        var id = MiraHost.IdOf(token);
        await host.Http(token).ValidateAsync();
        await MiraProcess.WaitForAsync(async () => await FindAsync(server, id) is not null);
        var name = await FindAsync(server, id);
        await server.AskAsync("EVAL", "redis.call('HSET', KEYS[1], 'data', redis.call('HGET', KEYS[1], 'data') .. ' ')", "1", name!);

        // Out of memory by a change and back in from Redis.
        await host.Client().UpdateKeyAsync(id, new Mira.Client.UpdateKey { Name = "another" });
        Assert.That((await host.Http(token).ValidateAsync()).Field("name"), Is.EqualTo("another"));
        host.Clock!.Advance(TimeSpan.FromSeconds(10));

        await MiraProcess.WaitForAsync(async () => (await host.Client().ListAuditEventsAsync(type: "integrity.violation")).Events.Count > 0);
        var told = (await host.Client().ListAuditEventsAsync(type: "integrity.violation")).Events.Single();
        Assert.That((told.Subject, told.Count, told.Reason, told.Actor.Name), Is.EqualTo((id, 1L, "shared_cache_entry", "system")));
    }

    private static async Task<string> RedisOf(HttpClient http) =>
        (await http.CallAsync("GET", "/health")).Json.GetProperty("details").GetProperty("redis").ToString();

    private static async Task<string?> FindAsync(RedisServer server, string id) =>
        (await server.AskAsync("KEYS", $"mira:key:*{id}")).Split("\r\n").FirstOrDefault(line => line.StartsWith("mira:", StringComparison.Ordinal));
}
