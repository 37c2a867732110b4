using HdrHistogram;

namespace Mira.Load;

/// <summary>Latencies from 1 µs to 2 minutes, each counted to within 0.1 %. Safe to use from many threads.</summary>
public sealed class Latencies
{
    private const int Digits = 3;
    private static readonly long Highest = (long)TimeSpan.FromMinutes(2).TotalMicroseconds;

    private readonly LongHistogram _histogram = new(1, Highest, Digits);
    private readonly Lock _lock = new();

    public long Count
    {
        get
        {
            lock (_lock)
                return _histogram.TotalCount;
        }
    }

    public void Record(TimeSpan latency)
    {
        var value = Math.Clamp((long)latency.TotalMicroseconds, 1, Highest);
        lock (_lock)
            _histogram.RecordValue(value);
    }

    /// <summary>Returns the milliseconds that this share of requests took at most; 0 without requests.</summary>
    public double Percentile(double percent)
    {
        lock (_lock)
            return _histogram.TotalCount == 0 ? 0 : _histogram.GetValueAtPercentile(percent) / 1000.0;
    }

    public void Add(Latencies other)
    {
        lock (_lock)
        {
            lock (other._lock)
                _histogram.Add(other._histogram);
        }
    }

    public void Clear()
    {
        lock (_lock)
            _histogram.Reset();
    }
}
