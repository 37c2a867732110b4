using Mira.Application.Settings;
using Mira.Infrastructure.Redis;

namespace Mira.Infrastructure.Tests.Redis;

public class RedisOptionsTests
{
    private const string Canary = "hunter2";

    [Test]
    public void Nothing_is_used_unless_it_is_named() => Assert.That(Read(("REDIS_PORT", "7000"), ("REDIS_PASSWORD", Canary)), Is.EqualTo(new RedisOptions(null, null)));

    [Test]
    public void A_host_is_enough_and_serves_cache_and_limits()
    {
        var database = new RedisDatabase(new RedisEndpoint("redis", 6379, null, null, IsTls: false), 0);
        Assert.That(Read(("REDIS_HOST", "redis")), Is.EqualTo(new RedisOptions(database, database)));
    }

    [Test]
    public void Every_setting_counts_flat_or_below_Mira()
    {
        var database = new RedisDatabase(new RedisEndpoint("10.0.0.7", 7000, "mira", Canary, IsTls: true), 3);
        Assert.That(
            Read(("REDIS_HOST", "10.0.0.7"), ("REDIS_PORT", "7000"), ("REDIS_DB", "3"), ("REDIS_USER", "mira"), ("REDIS_PASSWORD", Canary), ("REDIS_TLS", "true")).Cache,
            Is.EqualTo(database));
        Assert.That(
            Read(("Mira:Redis:Host", "10.0.0.7"), ("Mira:Redis:Port", "7000"), ("Mira:Redis:Database", "3"), ("Mira:Redis:User", "mira"), ("Mira:Redis:Password", Canary), ("Mira:Redis:Tls", "true")).Cache,
            Is.EqualTo(database));
    }

    [TestCase("redis://limits", "limits", 6379, null, null, false, 0)]
    [TestCase("redis://limits:7001/", "limits", 7001, null, null, false, 0)]
    [TestCase("rediss://mira:a%2Fb%3Ac@limits:7001/5", "limits", 7001, "mira", "a/b:c", true, 5)]
    [TestCase("redis://:hunter2@127.0.0.1/1", "127.0.0.1", 6379, null, Canary, false, 1)]
    [TestCase("redis://[::1]:7001/1", "::1", 7001, null, null, false, 1)]
    public void The_limits_may_lie_elsewhere(string text, string host, int port, string? user, string? password, bool tls, int number)
    {
        var options = Read(("REDIS_HOST", "redis"), ("RATE_LIMIT_STORAGE", text));

        Assert.That(options.Limits, Is.EqualTo(new RedisDatabase(new RedisEndpoint(host, port, user, password, tls), number)));
        Assert.That(options.Cache!.Endpoint.Host, Is.EqualTo("redis"));
        Assert.That(Read(("Mira:RateLimit:Storage", text)).Limits, Is.EqualTo(options.Limits));
    }

    [TestCase("redis://a,b:7001/2", "a", 6379, "b:7001", null, 2)]
    [TestCase("redis://mira:hunter2@10.0.0.1:7000,10.0.0.2:7000,[::1]:7000", "10.0.0.1", 7000, "10.0.0.2:7000,[::1]:7000", null, 0)]
    [TestCase("redis-sentinel://s1,s2:26380/payments/3", "s1", 26379, "s2:26380", "payments", 3)]
    [TestCase("rediss-sentinel://:hunter2@s1:26379/payments", "s1", 26379, "", "payments", 0)]
    public void Several_servers_and_sentinels_may_be_named(string text, string host, int port, string more, string? sentinel, int number)
    {
        var limits = Read(("RATE_LIMIT_STORAGE", text)).Limits!;

        Assert.That((limits.Endpoint.Host, limits.Endpoint.Port, limits.Endpoint.More, limits.Endpoint.Sentinel, limits.Number), Is.EqualTo((host, port, more, sentinel, number)));
        Assert.That(limits.Endpoint.IsTls, Is.EqualTo(text.StartsWith("rediss", StringComparison.Ordinal)));
        Assert.That($"{limits.Endpoint}", Does.Not.Contain(Canary));
    }

    [Test]
    public void The_cache_takes_several_servers_and_sentinels_too()
    {
        var cluster = Read(("REDIS_HOST", "a, b:7001"), ("REDIS_PORT", "7000")).Cache!.Endpoint;
        Assert.That((cluster.Host, cluster.Port, cluster.More, cluster.Sentinel), Is.EqualTo(("a", 7000, "b:7001", (string?)null)));
        var sentinels = Read(("REDIS_HOST", "a,b"), ("REDIS_SENTINEL", "payments")).Cache!.Endpoint;
        Assert.That((sentinels.Host, sentinels.Port, sentinels.More, sentinels.Sentinel), Is.EqualTo(("a", 26379, "b:26379", "payments")));
        Assert.That(Read(("REDIS_HOST", "a"), ("REDIS_PORT", "5000"), ("REDIS_SENTINEL", "payments")).Cache!.Endpoint.Port, Is.EqualTo(5000));
    }

    [Test]
    public void Limits_that_are_switched_off_need_no_Redis() =>
        Assert.That(Read(("RATE_LIMIT_STORAGE", "redis://limits"), ("RATE_LIMIT_ENABLED", "false")).Limits, Is.Null);

    [TestCase("REDIS_PORT", "0")]
    [TestCase("REDIS_PORT", "65536")]
    [TestCase("REDIS_DB", "-1")]
    [TestCase("REDIS_TLS", "yes")]
    [TestCase("REDIS_HOST", "redis:6379")]
    [TestCase("REDIS_HOST", "redis://hunter2@redis")]
    [TestCase("REDIS_HOST", "a b")]
    [TestCase("REDIS_USER", "hunter2")]
    [TestCase("RATE_LIMIT_STORAGE", "hunter2")]
    [TestCase("RATE_LIMIT_STORAGE", "memory://")]
    [TestCase("RATE_LIMIT_STORAGE", "http://:hunter2@redis")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis:0")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis:70000")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis/one")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis/-1")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis/70000")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis/1/2")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://:hunter2@redis/1?db=2")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://hunter2@redis/1")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://hunter2:@redis/1")]
    [TestCase("RATE_LIMIT_STORAGE", "redis:redis")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://a,,b")]
    [TestCase("RATE_LIMIT_STORAGE", "redis://a:1,b:0")]
    [TestCase("RATE_LIMIT_STORAGE", "redis-sentinel://a")]
    [TestCase("RATE_LIMIT_STORAGE", "redis-sentinel://a/service/x")]
    [TestCase("REDIS_HOST", "a,b:0")]
    [TestCase("REDIS_HOST", "a,")]
    public void What_cannot_be_right_is_named_and_not_shown(string name, string value)
    {
        (string, string)[] settings = name == "REDIS_HOST" ? [(name, value)] : [("REDIS_HOST", "redis"), (name, value)];

        Assert.That(() => Read(settings), Throws.TypeOf<SettingException>().With.Message.StartsWith($"{name}: ").And.Message.Not.Contains(Canary));
    }

    [Test]
    public void An_endpoint_shows_no_password() =>
        Assert.That($"{Read(("REDIS_HOST", "redis"), ("REDIS_PASSWORD", Canary))}", Does.Not.Contain(Canary));

    private static RedisOptions Read(params (string Name, string Value)[] settings)
    {
        var values = settings.ToDictionary(setting => setting.Name, setting => (string?)setting.Value);
        return RedisOptions.Read(new SettingReader(values.GetValueOrDefault));
    }
}
