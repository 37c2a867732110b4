using Mira.Application.Metrics;
using Mira.Application.Verification;

namespace Mira.Web.Lifetime;

/// <summary>Can this node decide about keys, and will it go on to?</summary>
public sealed class Readiness(LedgerPoller poller, GracefulShutdown drain) : IMetricSource
{
    public bool IsReady => poller.IsReady && !drain.HasBegun;

    public void Register(Instruments instruments) =>
        instruments.Flag("service_ready", "1 while this node can decide about keys and is not about to stop", () => IsReady);
}
