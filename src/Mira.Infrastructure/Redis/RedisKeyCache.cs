using System.Threading.Channels;
using Microsoft.Extensions.Caching.Distributed;
using Mira.Application.Background;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// The second cache layer. A read waits for Redis for a moment at most. Entries are written by a background loop;
/// entries offered while its queue is full are not written.
/// </summary>
/// <param name="queueLength">Entries that may wait to be written.</param>
public sealed class RedisKeyCache(
    RedisConnection connection,
    IDistributedCache cache,
    AuthenticatedEntry seal,
    TimeProvider clock,
    LoopBoard? board = null,
    int queueLength = RedisKeyCache.DefaultQueueLength)
    : BackgroundLoops(clock, board), ISharedKeyCache
{
    public const int DefaultQueueLength = 1_000;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly DistributedCacheEntryOptions Kept = new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) };

    private readonly Channel<(KeyEntry Entry, string Epoch)> _queue = Channel.CreateBounded<(KeyEntry, string)>(
        new BoundedChannelOptions(queueLength) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    /// <inheritdoc/>
    public bool IsAvailable => connection.IsAvailable;

    /// <inheritdoc/>
    public async ValueTask<SharedEntry> FindAsync(KeyId id, string epoch)
    {
        var reply = await connection.ReadAsync(_ => cache.GetAsync(NameOf(id, epoch)));
        return reply.Value is { } entry ? seal.Open(id, epoch, entry) : default;
    }

    /// <inheritdoc/>
    public void Offer(KeyEntry entry, string epoch)
    {
        if (connection.IsWritable)
            _queue.Writer.TryWrite((entry, epoch));
    }

    protected override IEnumerable<Loop> Loops() => [new("redis_cache", Interval, WriteAsync) { StartsAtOnce = true }];

    private async Task WriteAsync(LoopRecord record, CancellationToken cancellationToken)
    {
        await foreach (var (entry, epoch) in _queue.Reader.ReadAllAsync(cancellationToken))
        {
            if (entry.Key is { } key)
                await connection.WriteAsync(_ => KeepAsync(NameOf(entry.Id, epoch), seal.Seal(entry, key, epoch)));
            record.NoteSuccess();
        }
    }

    private async Task<bool> KeepAsync(string name, byte[] entry)
    {
        await cache.SetAsync(name, entry, Kept);
        return true;
    }

    private static string NameOf(KeyId id, string epoch) => $"{epoch}:{id}";
}
