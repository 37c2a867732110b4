using System.Collections.Concurrent;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// One window for each key, charged by one script that nothing can come between, for as many keys as are asked about at once. A window is buckets of up to a second; each counts whole until
/// the last of its tokens leaves, so that no 60 s ever hold more than the limit.
/// </summary>
/// <param name="database">Where the windows lie.</param>
public sealed class RedisLimits(RedisConnection connection, int database) : ISharedLimits
{
    /// <summary>
    /// Times are microseconds of the server's own clock, which double-precision numbers hold exactly. A window is one list: when something was
    /// last taken, then start, tokens and end of each bucket. When the clock was set back the whole window is set back with it: nothing leaves
    /// it early, and nobody is locked out for longer than the window lasts. Refused and asked-only calls write nothing.
    /// </summary>
    internal const string Script =
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        local reply = {}
        for k = 1, #KEYS do
          local at = k * 4 - 3
          local limit, needed, wanted, life = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
          local kept = redis.pcall('GET', KEYS[k])
          local readable, window = true, {now}
          if type(kept) == 'table' then readable = false
          elseif kept then readable, window = pcall(cmsgpack.unpack, kept) end
          if not readable or type(window) ~= 'table' or type(window[1]) ~= 'number' then
            reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = -1, 0, 0
          else
            local size, back = #window, window[1] - now
            if back > 0 then
              for i = 2, size, 3 do window[i], window[i + 2] = window[i] - back, window[i + 2] - back end
            end
            local n, total, first, last = 1, 0, 0, 0
            for i = 2, size, 3 do
              local ends = window[i + 2]
              if ends > now then
                local tokens = window[i + 1]
                if i > n + 1 then window[n + 1], window[n + 2], window[n + 3] = window[i], tokens, ends end
                n, total = n + 3, total + tokens
                if first == 0 or ends < first then first = ends end
                if ends > last then last = ends end
              end
            end
            for i = size, n + 1, -1 do window[i] = nil end
            local taken = limit - total
            if taken > wanted then taken = wanted end
            if taken < needed or taken < 0 then taken = 0 end
            if taken > 0 then
              local ends = now + 60000000 + life
              if n > 1 and now - window[n - 2] < 1000000 then
                local before = window[n]
                window[n - 1] = window[n - 1] + taken
                if ends > before then window[n] = ends end
                if first == before then
                  first = window[n]
                  for i = 4, n, 3 do if window[i] < first then first = window[i] end end
                end
              else
                window[n + 1], window[n + 2], window[n + 3] = now, taken, ends
                if first == 0 or ends < first then first = ends end
              end
              total = total + taken
              if ends > last then last = ends end
            end
            if taken > 0 or (back > 0 and total > 0) then
              window[1] = now
              redis.call('SET', KEYS[k], cmsgpack.pack(window), 'PX', math.ceil((last - now) / 1000))
            end
            reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = taken, math.max(limit - total, 0), first > 0 and first - now or 0
          end
        end
        return reply
        """;

    /// <summary>Keys in one call, so that the server is never held for more than about a millisecond.</summary>
    private const int LargestBatch = 32;

    private const int FiguresEach = 3;

    private readonly ConcurrentQueue<Ask> _asks = new();
    private int _isSending;

    /// <inheritdoc/>
    public bool IsAvailable => connection.IsWritable;

    /// <inheritdoc/>
    public ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life)
    {
        if (!IsAvailable)
            return default;

        var ask = new Ask($"mira:limit:{key}", [limit, needed, wanted, (long)life.TotalMicroseconds]);
        _asks.Enqueue(ask);
        if (Interlocked.Exchange(ref _isSending, 1) == 0)
            _ = SendAllAsync();
        return new ValueTask<Grant?>(ask.Answer.Task);
    }

    // One call at a time is under way; what is asked meanwhile goes with the next one. Alone nobody waits, and under load many share a round trip.
    private async Task SendAllAsync()
    {
        do
        {
            try
            {
                while (TakeBatch() is { Count: > 0 } batch)
                    await SendAsync(batch);
            }
            finally
            {
                Volatile.Write(ref _isSending, 0);
            }
        }
        while (!_asks.IsEmpty && Interlocked.Exchange(ref _isSending, 1) == 0);
    }

    private List<Ask> TakeBatch()
    {
        var batch = new List<Ask>();
        while (batch.Count < LargestBatch && _asks.TryDequeue(out var ask))
            batch.Add(ask);
        return batch;
    }

    private async Task SendAsync(List<Ask> batch)
    {
        RedisResult[]? figures = null;
        try
        {
            RedisKey[] keys = [.. batch.Select(ask => ask.Key)];
            RedisValue[] values = [.. batch.SelectMany(ask => ask.Values)];
            // The client sends the script's hash, and the script itself to a server that does not know it (any more).
            var reply = await connection.WriteAsync(redis => redis.GetDatabase(database).ScriptEvaluateAsync(Script, keys, values));
            figures = reply.Came ? (RedisResult[])reply.Value! : null;
        }
        finally
        {
            for (var index = 0; index < batch.Count; index++)
                batch[index].Answer.SetResult(figures is null ? null : GrantOf(figures.AsSpan(index * FiguresEach, FiguresEach)));
        }
    }

    // A window that is not ours to read is no answer for its key, and no other key's concern.
    private static Grant? GrantOf(ReadOnlySpan<RedisResult> figures) =>
        (int)figures[0] < 0 ? null : new Grant((int)figures[0], (int)figures[1], TimeSpan.FromMicroseconds((long)figures[2]));

    private sealed record Ask(RedisKey Key, RedisValue[] Values)
    {
        public TaskCompletionSource<Grant?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
