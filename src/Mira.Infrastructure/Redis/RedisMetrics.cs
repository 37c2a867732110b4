using Mira.Application.Metrics;

namespace Mira.Infrastructure.Redis;

/// <summary>How each Redis does for what it is used for; what is not configured is not shown.</summary>
internal sealed class RedisMetrics(RedisConnections connections) : IMetricSource
{
    private readonly (string Use, RedisConnection Connection)[] _uses =
        [.. new[] { ("cache", connections.Cache), ("limits", connections.Limits) }.Where(use => use.Item2 is not null).Select(use => (use.Item1, use.Item2!))];

    public void Register(Instruments instruments)
    {
        instruments.Gauge("redis_up", "1 while Redis answers", "use", [.. _uses.Select(use => (use.Use, (Func<double?>)(() => use.Connection.IsAvailable ? 1 : 0)))]);
        instruments.Gauge(
            "redis_writable", "1 while Redis answers and takes writes", "use", [.. _uses.Select(use => (use.Use, (Func<double?>)(() => use.Connection.IsWritable ? 1 : 0)))]);
        instruments.Counter(
            "redis_trips", "Commands that found Redis away or its writes refused", "use", [.. _uses.Select(use => (use.Use, (Func<long>)(() => use.Connection.Trips)))]);
    }
}
