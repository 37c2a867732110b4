using Mira.Application.Ledger;
using Mira.Application.Metrics;

namespace Mira.Application.Verification;

/// <summary>How this node stands with the ledger and its store, and what waits to be written.</summary>
public sealed class LedgerMetrics(LedgerPoller poller, ILedgerHealth health, KeyCache directory, AggregatedEvents gathered, UsageLog usage) : IMetricSource
{
    public void Register(Instruments instruments)
    {
        instruments.Gauge("ledger_position", "The newest event of the ledger that this node has seen", () => poller.Seen.Seq);
        instruments.Gauge("ledger_staleness", "How long ago this node last saw the ledger", () => poller.Staleness?.TotalSeconds, Instruments.Seconds);
        instruments.Gauge(
            "ledger_last_poll_timestamp",
            "When this node last saw the ledger, by its own clock",
            () => poller.LastSeenAt is { } time ? time.ToUnixTimeMilliseconds() / 1000.0 : null,
            Instruments.Seconds);
        instruments.Flag("ledger_chain_broken", "1 when an event was changed, removed or put between, or the ledger is not the one this node had seen", () => poller.IsBroken);
        instruments.Gauge(
            "audit_anchored", "1 while the ledger's checkpoints reach the external checkpoint store", () => health.IsAnchored is { } isAnchored ? isAnchored ? 1 : 0 : null);
        instruments.Flag("store_up", "1 when the store could be read last", () => poller.IsReachable);
        instruments.Flag("store_writable", "1 when the store could be written last", () => health.IsWritable);
        instruments.Flag("store_clock_right", "1 while this node's clock is within two seconds of the one the ledger goes by", () => health.IsClockRight);
        instruments.Counter(
            "store_errors",
            "Reads and writes of the store that failed",
            "operation",
            [("follow", () => poller.Failures), ("look_up", () => directory.StoreFailures), ("write", () => health.FailedWrites)]);
        instruments.Gauge("audit_events_pending", "Groups of aggregated events that are not in the ledger yet", () => gathered.Waiting);
        instruments.Gauge("key_usage_pending", "Secrets whose last use is not written yet", () => usage.Pending);
    }
}
