using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>What a caller and an operator see while the shared limits do not answer.</summary>
public class LimitFaultTests
{
    [Test]
    public async Task A_node_that_must_not_decide_alone_refuses_until_Redis_is_back()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var mira = MiraHost.Start(settings: [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{redis.Port}"), ("RATE_LIMIT_WITHOUT_REDIS", "refuse")]);
        await UntilRedisIsThereAsync(mira);
        var token = await mira.NewKeyAsync("viewer");
        var caller = mira.Http(token);
        Assert.That((await caller.ValidateAsync()).Verdict, Is.EqualTo("200"));

        redis.Kill();
        await MiraProcess.WaitForAsync(async () => (await caller.ValidateAsync()).Verdict == "503 limits_unavailable");
        using var refused = await caller.GetAsync("/api/auth/validate");
        Assert.That(refused.Headers.RetryAfter?.Delta, Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(1)));
        Assert.That((await caller.CallAsync("GET", "/api/auth/forward")).Verdict, Is.EqualTo("503 limits_unavailable"));

        await redis.StartAgainAsync();
        await MiraProcess.WaitForAsync(async () => (await caller.ValidateAsync()).Verdict == "200");
    }

    [Test]
    public async Task What_was_decided_alone_shows_although_Redis_is_back()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var mira = MiraHost.Start(settings: [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{redis.Port}")]);
        await UntilRedisIsThereAsync(mira);
        var caller = mira.Http(await mira.NewKeyAsync("viewer"));
        await caller.ValidateAsync();
        Assert.That(await HealthAsync(mira), Is.EqualTo(("healthy", "True", "True")));

        redis.Kill();
        await MiraProcess.WaitForAsync(async () => await caller.ValidateAsync() is not null && await HealthAsync(mira) == ("degraded", "False", "False"));
        await redis.StartAgainAsync();
        await MiraProcess.WaitForAsync(async () => (await HealthAsync(mira)).Redis == "True");
        Assert.That(await HealthAsync(mira), Is.EqualTo(("degraded", "True", "False")));
    }

    [Test]
    public async Task Another_word_for_what_is_done_without_Redis_stops_the_start()
    {
        using var folder = new TestFolder();
        var (exitCode, _, error) = await MiraProcess.RunAsync(folder, [], ("RATE_LIMIT_WITHOUT_REDIS", "allow"));
        Assert.That(exitCode, Is.Not.Zero);
        Assert.That(error, Does.Contain("RATE_LIMIT_WITHOUT_REDIS"));
    }

    private static Task UntilRedisIsThereAsync(MiraHost mira) => MiraProcess.WaitForAsync(async () => (await HealthAsync(mira)).Redis == "True");

    private static async Task<(string? Status, string Redis, string LimitsShared)> HealthAsync(MiraHost mira)
    {
        var health = await mira.Http(mira.Admin).CallAsync("GET", "/health");
        var details = health.Json.GetProperty("details");
        return (health.Field("status"), details.GetProperty("redis").ToString(), details.GetProperty("limits_shared").ToString());
    }
}
