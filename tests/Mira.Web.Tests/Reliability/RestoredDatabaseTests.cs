using Mira.Client;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>The database is restored from a backup while no node runs, and Redis keeps what nodes read in the future that was lost.</summary>
internal sealed class RestoredDatabaseTests
{
    [Test]
    public async Task What_Redis_keeps_of_the_lost_future_is_never_found_again()
    {
        await using var postgres = await PostgresServer.StartNewAsync();
        await using var redis = await RedisServer.StartAsync();
        using var folder = new TestFolder();
        var database = await postgres.CreateDatabaseAsync();
        MiraHost Start(string name) => MiraHost.Start(folder: folder, settings:
        [
            .. SharedPostgres.SettingsFor(postgres.ConnectionString(name) + ";Pooling=false"), ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{redis.Port}"),
        ]);

        string token;
        await using (var host = Start(database))
        {
            token = await host.NewKeyAsync("viewer");
            await host.Client().UpdateKeyAsync(MiraHost.IdOf(token), new UpdateKey { Disabled = true });
        }

        var restored = await postgres.CreateDatabaseAsync(database);
        await using (var host = Start(database))
        {
            await WaitForRedisAsync(host);
            await host.Client().UpdateKeyAsync(MiraHost.IdOf(token), new UpdateKey { Disabled = false });
            Assert.That((await host.Http(token).ValidateAsync()).Verdict, Is.EqualTo("200"));
            await MiraProcess.WaitForAsync(async () => (await redis.AskAsync("KEYS", "mira:key:*")).Contains(MiraHost.IdOf(token), StringComparison.Ordinal));
        }

        await using (var host = Start(restored))
        {
            await WaitForRedisAsync(host);
            for (var i = 0; i < 10; i++)
                await host.NewKeyAsync("viewer");

            Assert.That((await host.Http(token).ValidateAsync()).Verdict, Is.EqualTo("401 key_disabled"));
            await MiraProcess.WaitForAsync(async () => (await ReplacementsAsync(host)).Count == 1);
            await WaitForRedisAsync(host);
        }

        // Said once, not at every start.
        await using (var host = Start(restored))
        {
            await WaitForRedisAsync(host);
            Assert.That(await ReplacementsAsync(host), Has.Count.EqualTo(1));
        }
    }

    private static async Task<IReadOnlyList<AuditEventView>> ReplacementsAsync(MiraHost host) =>
        (await host.Client().ListAuditEventsAsync(type: "integrity.violation")).Events;

    private static Task WaitForRedisAsync(MiraHost host) => MiraProcess.WaitForAsync(async () =>
        (await host.Http(host.Admin).CallAsync("GET", "/api/keys/stats/cache")).Json.GetProperty("redis").GetProperty("available").GetBoolean());
}
