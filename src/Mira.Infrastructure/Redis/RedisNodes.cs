namespace Mira.Infrastructure.Redis;

/// <summary>
/// The nodes that count calls together. Each announces itself in one sorted set, by the server's clock, so that when
/// Redis is lost every node knows already how many there are.
/// </summary>
/// <param name="database">Where the windows lie.</param>
public sealed class RedisNodes(RedisConnection connection, int database, TimeProvider clock)
{
    /// <summary>A node that has not announced itself for a minute is gone.</summary>
    private const string Script =
        """
        local clock = redis.call('TIME')
        local now = clock[1] + clock[2] / 1000000
        redis.call('ZADD', KEYS[1], now, ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
        redis.call('EXPIRE', KEYS[1], 120)
        return redis.call('ZCARD', KEYS[1])
        """;

    private const string Key = "mira:nodes:1";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly string _name = Guid.NewGuid().ToString("N");
    private long _announced;
    private int _seen = 1;

    /// <summary>This node and those that announced themselves in the last minute, as it was last told.</summary>
    public int Seen => Volatile.Read(ref _seen);

    /// <summary>Announces this node, unless it did so a moment ago. For one caller at a time.</summary>
    public async Task AnnounceAsync()
    {
        if (!connection.IsWritable || (_announced != 0 && clock.GetElapsedTime(_announced) < Interval))
            return;

        var reply = await connection.WriteAsync(redis => redis.GetDatabase(database).ScriptEvaluateAsync(Script, [Key], [_name]));
        if (!reply.Came)
            return;

        _announced = clock.GetTimestamp();
        Volatile.Write(ref _seen, Math.Max(1, (int)reply.Value));
    }
}
