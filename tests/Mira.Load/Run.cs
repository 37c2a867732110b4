namespace Mira.Load;

/// <summary>How a request ended.</summary>
public enum Outcome
{
    /// <summary>The server gave what the request asked for.</summary>
    Served,

    /// <summary>The server refused what it had to refuse.</summary>
    Refused,

    /// <summary>Anything else: another status, no response, no connection.</summary>
    Failed,
}

/// <summary>What was measured in a stretch of a run. A request belongs to the stretch in which it was due.</summary>
public sealed class Window
{
    private int _served;
    private int _refused;
    private int _failed;

    /// <summary>Latencies of requests that were served.</summary>
    public Latencies Latencies { get; } = new();

    public int Served => _served;

    public int Refused => _refused;

    public int Failed => _failed;

    public int Ended => Served + Refused + Failed;

    internal void Count(Outcome outcome, TimeSpan latency)
    {
        switch (outcome)
        {
            case Outcome.Served:
                Interlocked.Increment(ref _served);
                Latencies.Record(latency);
                break;
            case Outcome.Refused:
                Interlocked.Increment(ref _refused);
                break;
            case Outcome.Failed:
                Interlocked.Increment(ref _failed);
                break;
        }
    }
}

/// <summary>All that was measured while a scenario ran.</summary>
public sealed class Run
{
    private const int MostWindows = 300;

    private int _inFlight;

    /// <param name="length">How long requests are due.</param>
    public Run(TimeSpan length)
    {
        Length = length;
        var seconds = Math.Max(1, Math.Ceiling(length.TotalSeconds / MostWindows));
        WindowLength = TimeSpan.FromSeconds(seconds);
        Windows = [.. Enumerable.Range(0, (int)Math.Max(1, Math.Ceiling(length.TotalSeconds / seconds)))
            .Select(_ => new Window())];
    }

    public TimeSpan Length { get; }

    public TimeSpan WindowLength { get; }

    public IReadOnlyList<Window> Windows { get; }

    /// <summary>
    /// Latencies of all requests that were served. Those that were refused would hide what a holder of a good key sees.
    /// </summary>
    public Latencies Latencies { get; } = new();

    /// <summary>How late the driver itself sent requests. It is part of each latency.</summary>
    public Latencies Lag { get; } = new();

    /// <summary>How long the last response was waited for after the start.</summary>
    public TimeSpan Elapsed { get; internal set; }

    public int Served => Windows.Sum(window => window.Served);

    public int Refused => Windows.Sum(window => window.Refused);

    public int Failed => Windows.Sum(window => window.Failed);

    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Responses a second that were served or refused as they should.</summary>
    public double Rate => Elapsed > TimeSpan.Zero ? (Served + Refused) / Elapsed.TotalSeconds : 0;

    /// <summary>The first failures, in words.</summary>
    public IReadOnlyCollection<string> Failures => [.. _failures.Keys.Order(StringComparer.Ordinal)];

    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, int> _failures = new();

    /// <summary>The latencies of a part of the run.</summary>
    public Latencies Part(double from, double to)
    {
        var part = new Latencies();
        for (var window = (int)(Windows.Count * from); window < (int)Math.Ceiling(Windows.Count * to); window++)
            part.Add(Windows[window].Latencies);
        return part;
    }

    internal void Begin() => Interlocked.Increment(ref _inFlight);

    internal void End(int due, Outcome outcome, TimeSpan latency)
    {
        Interlocked.Decrement(ref _inFlight);
        Windows[Math.Min((int)(due / WindowLength.TotalMilliseconds), Windows.Count - 1)].Count(outcome, latency);
        if (outcome is Outcome.Served)
            Latencies.Record(latency);
    }

    internal void Note(string failure)
    {
        if (_failures.Count < 10)
            _failures.TryAdd(failure, 0);
    }
}
