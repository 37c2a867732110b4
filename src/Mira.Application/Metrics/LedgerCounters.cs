using System.Diagnostics.Metrics;
using Mira.Domain.Ledger;

namespace Mira.Application.Metrics;

/// <summary>
/// Counts the events that this node has followed since it started, whoever wrote them, and how long after a key was
/// changed this node went by it.
/// </summary>
/// <remarks>
/// The time runs from the event's <c>at</c>, which the ledger's database sets before it commits, to this node's clock:
/// it holds the commit itself, and whatever the two clocks differ by. A clock that is behind makes it 0, never less;
/// more than two seconds of difference are told by <c>store_clock_right</c>.
/// </remarks>
public sealed class LedgerCounters : IMetricSource, IDisposable
{
    public const string Lag = "revocation_lag";

    private const string Other = "other";

    private readonly Meter _meter = new(ServiceMetrics.MeterName);
    private readonly Histogram<double> _lag;
    private readonly TimeProvider _clock;
    private readonly Dictionary<string, ShardedCounter> _events = EventType.All.Append(Other).ToDictionary(type => type, _ => new ShardedCounter());

    public LedgerCounters(TimeProvider clock)
    {
        _clock = clock;
        _lag = _meter.CreateHistogram<double>(Lag, Instruments.Seconds, "From a change of a key, by the ledger's clock, until this node went by it");
    }

    /// <param name="entry">Known to this node from now on.</param>
    public void Note(LedgerEvent entry)
    {
        (_events.GetValueOrDefault(entry.Type) ?? _events[Other]).Increment();
        if (entry.Type.StartsWith(EventType.OfKeys, StringComparison.Ordinal))
            _lag.Record(Math.Max(0, (_clock.GetUtcNow() - entry.At).TotalSeconds));
    }

    public void Register(Instruments instruments) => instruments.Counter(
        "ledger_events",
        "Events of the ledger this node has followed since it started, whoever wrote them",
        "type",
        [.. _events.Select(pair => (pair.Key, (Func<long>)(() => pair.Value.Value)))]);

    public void Dispose() => _meter.Dispose();
}
