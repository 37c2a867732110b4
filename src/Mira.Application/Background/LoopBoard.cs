using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Mira.Application.Metrics;

namespace Mira.Application.Background;

/// <summary>Shows how the background loops of this process do: in health, as metrics, and in the log.</summary>
public sealed partial class LoopBoard(ILogger<LoopBoard> log) : IMetricSource
{
    private readonly ConcurrentDictionary<string, LoopRecord> _records = new();

    /// <summary>Did the last round of any loop fail?</summary>
    public bool IsFailing => _records.Values.Any(record => record.IsFailing);

    /// <summary>Takes in a loop. Two by one name are shown as one.</summary>
    public LoopRecord Enter(string name) => _records.GetOrAdd(name, _ => new LoopRecord((failures, exception) => LogFailure(exception, name, failures)));

    public void Register(Instruments instruments)
    {
        instruments.Counter("background_failures", "Rounds of background loops that failed", "loop", _records.Select(pair => (pair.Key, (Func<long>)(() => pair.Value.Failures))));
        instruments.Gauge(
            "background_failing",
            "1 while the last round of a background loop failed",
            "loop",
            _records.Select(pair => (pair.Key, (Func<double?>)(() => pair.Value.IsFailing ? 1 : 0))));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The background loop {Loop} failed and goes on after a pause; failures so far: {Failures}")]
    private partial void LogFailure(Exception exception, string loop, long failures);
}

/// <summary>How one loop does.</summary>
public sealed class LoopRecord(Action<long, Exception> tell)
{
    private long _failures;
    private volatile bool _isFailing;

    /// <summary>Rounds that failed since the start.</summary>
    public long Failures => Interlocked.Read(ref _failures);

    /// <summary>Did the last round fail?</summary>
    public bool IsFailing => _isFailing;

    public void NoteSuccess() => _isFailing = false;

    public void NoteFailure(Exception exception)
    {
        _isFailing = true;
        tell(Interlocked.Increment(ref _failures), exception);
    }
}
