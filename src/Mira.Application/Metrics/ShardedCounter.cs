namespace Mira.Application.Metrics;

/// <summary>
/// A count that many threads raise at once: each processor has a cache line of its own, so they do not take it from
/// each other.
/// </summary>
public sealed class ShardedCounter
{
    private const int LongsPerLine = 16;

    private static readonly int Shards = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Environment.ProcessorCount);

    private readonly long[] _cells = new long[(Shards + 1) * LongsPerLine];

    public long Value
    {
        get
        {
            long sum = 0;
            for (var shard = 1; shard <= Shards; shard++)
                sum += Volatile.Read(ref _cells[shard * LongsPerLine]);
            return sum;
        }
    }

    public void Increment() =>
        Interlocked.Increment(ref _cells[((Thread.GetCurrentProcessorId() & (Shards - 1)) + 1) * LongsPerLine]);
}
