using System.Threading.Channels;
using Microsoft.Extensions.Caching.Distributed;
using Mira.Application.Background;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Redis;

/// <summary>The second cache layer. Reading waits for Redis a moment at most; writing is done beside the calls, and left out when there is too much of it.</summary>
public sealed class RedisKeyCache(
    RedisConnection connection, IDistributedCache cache, SealedEntry seal, TimeProvider clock, LoopBoard? board = null)
    : BackgroundLoops(clock, board), ISharedKeyCache
{
    private const int QueueLength = 1_000;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly DistributedCacheEntryOptions Kept = new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) };

    private readonly Channel<(KeyEntry Entry, string Epoch)> _queue = Channel.CreateBounded<(KeyEntry, string)>(
        new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

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
