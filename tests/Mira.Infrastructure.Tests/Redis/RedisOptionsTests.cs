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
