using System.Collections.Concurrent;
using Mira.Application.Limits;
using Mira.Domain.Tokens;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// One window for each key, charged by one script that nothing can come between, for as many keys as are asked about at
/// once. A window is buckets of up to a second; each counts whole until the last of its tokens leaves, so that no 60 s
/// ever hold more than the limit.
/// </summary>
/// <param name="database">Where the windows lie.</param>
/// <param name="nodes">Who else charges them; null for nobody.</param>
public sealed class RedisLimits(RedisConnection connection, int database, RedisNodes? nodes = null) : ISharedLimits
{
    /// <summary>
    /// Times are microseconds of the server's own clock, which double-precision numbers hold exactly. A window is one
    /// list: when something was last taken, then start, tokens and end of each bucket. When the clock was set back the
    /// whole window is set back with it: nothing leaves it early, and nobody is locked out for longer than the window
    /// lasts. Refused and asked-only calls write nothing. Before anything is taken, unused tokens leave the bucket they
    /// were taken from, and calls that a node admitted by itself get a bucket of their own, even past the limit.
    /// </summary>
    internal const string Script =
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        local reply = {}
        for k = 1, #KEYS do
          local at = k * 8 - 7
          local limit, needed, wanted, life = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
          local unused, bucket, owed, owedFor = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
          local kept = redis.pcall('GET', KEYS[k])
          local readable, window = true, {now}
          if type(kept) == 'table' then readable = false
          elseif kept then readable, window = pcall(cmsgpack.unpack, kept) end
          if not readable or type(window) ~= 'table' or type(window[1]) ~= 'number' then
            reply[#reply + 1], reply[#reply + 2], reply[#reply + 3], reply[#reply + 4] = -1, 0, 0, 0
          else
            local size, back = #window, window[1] - now
            if back > 0 then
              for i = 2, size, 3 do window[i], window[i + 2] = window[i] - back, window[i + 2] - back end
            end
            local n, total, first, last, changed = 1, 0, 0, 0, false
            for i = 2, size, 3 do
              local tokens, ends = window[i + 1], window[i + 2]
              if unused > 0 and window[i] == bucket then
                tokens, unused, changed = math.max(tokens - unused, 0), 0, true
              end
              if ends > now and tokens > 0 then
                window[n + 1], window[n + 2], window[n + 3] = window[i], tokens, ends
                n, total = n + 3, total + tokens
                if first == 0 or ends < first then first = ends end
                if ends > last then last = ends end
              end
            end
            for i = size, n + 1, -1 do window[i] = nil end
            if owed > 0 and owedFor > 0 then
              local ends = now + owedFor
              window[n + 1], window[n + 2], window[n + 3] = now - 1000000, owed, ends
              n, total, changed = n + 3, total + owed, true
              if first == 0 or ends < first then first = ends end
              if ends > last then last = ends end
            end
            local taken, from = limit - total, 0
            if taken > wanted then taken = wanted end
            if taken < needed or taken < 0 then taken = 0 end
            if taken > 0 then
              local ends = now + 60000000 + life
              if n > 1 and now - window[n - 2] < 1000000 then
                local before = window[n]
                window[n - 1], from = window[n - 1] + taken, window[n - 2]
                if ends > before then window[n] = ends end
                if first == before then
                  first = window[n]
                  for i = 4, n, 3 do if window[i] < first then first = window[i] end end
                end
              else
                window[n + 1], window[n + 2], window[n + 3], from = now, taken, ends, now
                if first == 0 or ends < first then first = ends end
              end
              total = total + taken
              if ends > last then last = ends end
            end
            if total > 0 and (taken > 0 or changed or back > 0) then
              window[1] = now
              redis.call('SET', KEYS[k], cmsgpack.pack(window), 'PX', math.ceil((last - now) / 1000))
            elseif changed then
              redis.call('DEL', KEYS[k])
            end
            reply[#reply + 1], reply[#reply + 2] = taken, math.max(limit - total, 0)
            reply[#reply + 1], reply[#reply + 2] = first > 0 and first - now or 0, from
          end
        end
        return reply
        """;

    /// <summary>Keys in one call, so that the server is never held for more than about a millisecond.</summary>
    private const int LargestBatch = 32;

    /// <summary>
    /// Calls under way at once, so that a slow Redis is slow for each call and not for all of them together.
    /// </summary>
    private const int MostLanes = 8;

    private const int FiguresEach = 4;

    private readonly ConcurrentQueue<Ask> _asks = new();
    private int _lanes;

    /// <inheritdoc/>
    public bool IsAvailable => connection.IsWritable;

    /// <inheritdoc/>
    public int NodesSeen => nodes?.Seen ?? 1;

    /// <inheritdoc/>
    public ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life, Settlement settlement = default)
    {
        if (!IsAvailable)
            return default;

        var ask = new Ask(
            $"mira:limit:{key}",
            [limit, needed, wanted, (long)life.TotalMicroseconds, settlement.Unused, settlement.Bucket, settlement.Owed, (long)settlement.OwedFor.TotalMicroseconds]);
        _asks.Enqueue(ask);
        if (TryOpenLane())
            _ = SendAllAsync();
        return new ValueTask<Grant?>(ask.Answer.Task);
    }

    private bool TryOpenLane()
    {
        if (Interlocked.Increment(ref _lanes) <= MostLanes)
            return true;

        Interlocked.Decrement(ref _lanes);
        return false;
    }

    // What is asked while all lanes are in use goes with the next call. Alone nobody waits, and under load many share a
    // round trip.
    private async Task SendAllAsync()
    {
        do
        {
            while (TakeBatch() is { Count: > 0 } batch)
                await SendAsync(batch);
            Interlocked.Decrement(ref _lanes);
        }
        while (!_asks.IsEmpty && TryOpenLane());
    }

    private List<Ask> TakeBatch()
    {
        var batch = new List<Ask>();
        while (batch.Count < LargestBatch && _asks.TryDequeue(out var ask))
            batch.Add(ask);
        return batch;
    }

    // The keys of a cluster lie on different servers, and while a slot moves a call for two of its keys is refused.
    // There each key has its own call.
    private Task SendAsync(List<Ask> batch) =>
        connection.IsCluster && batch.Count > 1 ? Task.WhenAll(batch.Select(ask => SendTogetherAsync([ask]))) : SendTogetherAsync(batch);

    private async Task SendTogetherAsync(List<Ask> batch)
    {
        try
        {
            RedisKey[] keys = [.. batch.Select(ask => ask.Key)];
            RedisValue[] values = [.. batch.SelectMany(ask => ask.Values)];
            // The client sends the script's hash, and the script itself to a server that does not know it (any more).
            var reply = await connection.WriteAsync(redis => redis.GetDatabase(database).ScriptEvaluateAsync(Script, keys, values), waitsForNode: true);
            var figures = reply.Came ? (RedisResult[])reply.Value! : null;
            for (var index = 0; index < batch.Count; index++)
                batch[index].Answer.SetResult(figures is null ? null : GrantOf(figures.AsSpan(index * FiguresEach, FiguresEach)));
        }
        catch (Exception exception)
        {
            // Each call gets what happened, also what nobody thought of: none may wait for ever, and the lane goes on.
            foreach (var ask in batch)
                ask.Answer.TrySetException(exception);
        }
    }

    // A window that is not ours to read is no answer for its key, and no other key's concern.
    private static Grant? GrantOf(ReadOnlySpan<RedisResult> figures) =>
        (int)figures[0] < 0 ? null : new Grant((int)figures[0], (int)figures[1], TimeSpan.FromMicroseconds((long)figures[2]), (long)figures[3]);

    private sealed record Ask(RedisKey Key, RedisValue[] Values)
    {
        public TaskCompletionSource<Grant?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
