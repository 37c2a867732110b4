namespace Mira.Application.Limits;

/// <summary>
/// What was counted in the last 60 seconds, in buckets of a second. A bucket leaves whole, 60 s after the last of its calls, so no span of 60 s
/// ever holds more than was allowed. Not safe for several threads.
/// </summary>
/// <remarks>Times are milliseconds of one monotonic clock; they may overflow, because nothing here is older than a minute.</remarks>
internal sealed class Window
{
    public const int Length = 60_000;

    private const int BucketLength = 1_000;

    private Bucket[] _ring = [];
    private int _first;
    private int _used;

    public int Total { get; private set; }

    /// <summary>Lets go of what is older than the window.</summary>
    public void MoveTo(uint now)
    {
        while (_used > 0 && now - _ring[_first].Last > Length)
        {
            Total -= _ring[_first].Count;
            _first = (_first + 1) % _ring.Length;
            _used--;
        }
    }

    public void Add(uint now, int count)
    {
        Total += count;
        if (_used > 0)
        {
            ref var newest = ref _ring[(_first + _used - 1) % _ring.Length];
            if (newest.Last / BucketLength == now / BucketLength)
            {
                newest = new Bucket(now, newest.Count + count);
                return;
            }
        }

        if (_used == _ring.Length)
            Grow();
        _ring[(_first + _used) % _ring.Length] = new Bucket(now, count);
        _used++;
    }

    /// <summary>Milliseconds until the oldest bucket leaves; 0 when nothing is counted.</summary>
    public int UntilRelease(uint now) => _used == 0 ? 0 : Length - (int)(now - _ring[_first].Last);

    // Most keys are used now and then and need two or three buckets; a busy one has 61.
    private void Grow()
    {
        var larger = new Bucket[Math.Min(Math.Max(2, _ring.Length * 2), Length / BucketLength + 2)];
        for (var index = 0; index < _used; index++)
            larger[index] = _ring[(_first + index) % _ring.Length];
        (_ring, _first) = (larger, 0);
    }

    private readonly record struct Bucket(uint Last, int Count);
}
