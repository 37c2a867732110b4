namespace Mira.Application.Limits;

/// <summary>
/// What was counted in the last 60 seconds, in buckets of a second. A bucket leaves whole, 60 s after the last of its
/// calls, so no span of 60 s ever holds more than was allowed. Not safe for several threads.
/// </summary>
/// <remarks>
/// Times are ticks of one monotonic clock. Buckets keep them as milliseconds that go round after 49 days, which is
/// enough: none is older than a minute.
/// </remarks>
internal sealed class SlidingWindow
{
    private const int Length = 60_000;
    private const int BucketLength = 1_000;

    private Bucket[] _ring = [];
    private int _first;
    private int _used;
    private long _newest;

    public int Total { get; private set; }

    /// <summary>Lets go of what is older than the window.</summary>
    public void MoveTo(long now)
    {
        var at = now / TimeSpan.TicksPerMillisecond;
        if (at - _newest >= Length)
        {
            (Total, _used) = (0, 0);
            return;
        }

        while (_used > 0 && Age(_ring[_first], at) >= Length)
        {
            Total -= _ring[_first].Count;
            _first = (_first + 1) % _ring.Length;
            _used--;
        }
    }

    /// <summary>Counts something, after the window was moved to the same moment.</summary>
    public void Add(long now, int count)
    {
        Total += count;
        _newest = Ceiling(now);
        var last = (uint)_newest;
        if (_used > 0)
        {
            ref var newest = ref _ring[(_first + _used - 1) % _ring.Length];
            if (newest.Last / BucketLength == last / BucketLength)
            {
                newest = new Bucket(last, newest.Count + count);
                return;
            }
        }

        if (_used == _ring.Length)
            Grow();
        _ring[(_first + _used) % _ring.Length] = new Bucket(last, count);
        _used++;
    }

    /// <summary>Ticks until the oldest bucket leaves; 0 when nothing is counted.</summary>
    public long UntilRelease(long now) =>
        _used == 0 ? 0 : Math.Max(1, Length - Age(_ring[_first], Ceiling(now))) * TimeSpan.TicksPerMillisecond;

    /// <summary>Ticks until the newest bucket leaves and nothing is counted; 0 when nothing is.</summary>
    public long UntilEmpty(long now) =>
        _used == 0 ? 0 : Math.Max(1, Length - (int)(Ceiling(now) - _newest)) * TimeSpan.TicksPerMillisecond;

    /// <summary>Forgets everything that was counted.</summary>
    public void Clear() => (Total, _used) = (0, 0);

    /// <summary>What was counted in the last so many ticks, to the bucket.</summary>
    public int Since(long now, long ticks)
    {
        var (at, span) = (now / TimeSpan.TicksPerMillisecond, ticks / TimeSpan.TicksPerMillisecond);
        var sum = 0;
        for (var back = _used - 1; back >= 0 && Age(_ring[(_first + back) % _ring.Length], at) < span; back--)
            sum += _ring[(_first + back) % _ring.Length].Count;
        return sum;
    }

    // Counted at the end of its millisecond and let go at the beginning of one, so that 60 s are never cut short.
    private static long Ceiling(long now) => (now + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;

    private static int Age(Bucket bucket, long at) => (int)((uint)at - bucket.Last);

    // Most keys are used now and then and need two or three buckets; a busy one has 61, and one more when the
    // milliseconds go round.
    private void Grow()
    {
        var larger = new Bucket[Math.Min(Math.Max(2, _ring.Length * 2), Length / BucketLength + 2)];
        for (var index = 0; index < _used; index++)
            larger[index] = _ring[(_first + index) % _ring.Length];
        (_ring, _first) = (larger, 0);
    }

    private readonly record struct Bucket(uint Last, int Count);
}
