using Mira.Application.Metrics;

namespace Mira.Infrastructure.Airtable;

/// <summary>How Airtable stands, for who watches the service: the same on all nodes.</summary>
internal sealed class AirtableMetrics(AirtableStatus sight, WriterLease lease) : IMetricSource
{
    public void Register(Instruments instruments)
    {
        instruments.Flag("airtable_available", "1 while the last polls of Airtable succeeded", () => sight.Health.IsAvailable);
        instruments.Flag("airtable_lease_held", "1 on the node that calls Airtable", () => lease.IsHeld);
        instruments.Gauge("airtable_findings", "Keys that are refused because their records were changed or taken away manually", () => sight.Health.Findings);
        instruments.Gauge("airtable_vanished", "Records that were missing at once, too many to believe; else 0", () => sight.Health.Vanished);
        instruments.Gauge("airtable_staleness", "How long ago the last poll that succeeded began", () => sight.Health.SeenSecondsAgo, Instruments.Seconds);
    }
}
