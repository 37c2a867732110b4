using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Lifetime;
using Mira.Web.Requests;

namespace Mira.Web.Endpoints;

/// <summary>For probes. Live touches nothing; ready says whether this node can decide about keys.</summary>
[ApiController]
[Route("health")]
[AllowAnonymous]
[Tags("Operation")]
public sealed class HealthController(
    LedgerPoller poller, ILedgerHealth ledger, ISharedHealth shared, RowViolations rows, RateLimiter limiter, GracefulShutdown drain, Readiness readiness, LoopBoard loops,
    IgnoredForwarding forwarding, IKeySource? source = null) : ControllerBase
{
    /// <summary>Health</summary>
    /// <remarks>Details are shown to who holds `stats:read`.</remarks>
    [HttpGet(Name = "GetHealth")]
    [ReadsCredentials]
    [ProducesResponseType<Health>(StatusCodes.Status200OK)]
    [ProducesResponseType<Health>(StatusCodes.Status503ServiceUnavailable)]
    public IActionResult Get()
    {
        var health = Look();
        return Answer(User.HasClaim(ApiKeyPrincipal.PermissionClaim, Permission.StatsRead) ? health : health with { Details = null });
    }

    /// <summary>Is the process alive?</summary>
    [HttpGet("live", Name = "GetLiveness")]
    [ProducesResponseType<Health>(StatusCodes.Status200OK)]
    public IActionResult Live() => Ok(new Health(Health.Healthy, null));

    /// <summary>Can this node decide about keys?</summary>
    [HttpGet("ready", Name = "GetReadiness")]
    [ProducesResponseType<Health>(StatusCodes.Status200OK)]
    [ProducesResponseType<Health>(StatusCodes.Status503ServiceUnavailable)]
    public IActionResult Ready() => Answer(Look() with { Details = null });

    private Health Look()
    {
        var ready = readiness.IsReady;
        var writable = ledger.IsWritable;
        var redis = shared.IsAvailable;
        // Calls that were decided alone in the last minute may have gone past a limit, so it still shows.
        var alone = limiter.HasDecidedAlone;
        var elsewhere = source?.Health;
        var isWell = writable && ledger.IsClockRight && !poller.IsBroken && rows.Count == 0 && redis != false && alone != true && ledger.IsAnchored != false
            && !loops.IsFailing && elsewhere is null or { IsWell: true };
        var status = (ready, isWell) switch
        {
            (false, _) => Health.Unhealthy,
            (true, false) => Health.Degraded,
            _ => Health.Healthy,
        };
        return new Health(status, new HealthDetails(
            ready, drain.HasBegun, writable, !poller.IsBroken, rows.Count == 0, ledger.IsClockRight, redis, !alone, ledger.IsAnchored, !loops.IsFailing, poller.Seen.Seq,
            Math.Round(poller.Staleness?.TotalSeconds ?? 0, 3),
            forwarding.IsRecent,
            elsewhere is null ? null : new AirtableHealth(elsewhere.IsAvailable, elsewhere.Findings, elsewhere.Vanished, elsewhere.SeenSecondsAgo)));
    }

    private ObjectResult Answer(Health health) =>
        StatusCode(health.Status == Health.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK, health);
}

/// <param name="Status">healthy, degraded or unhealthy.</param>
/// <param name="Details">Null to callers without <c>stats:read</c>.</param>
public sealed record Health(string Status, HealthDetails? Details)
{
    public const string Healthy = "healthy";
    public const string Degraded = "degraded";
    public const string Unhealthy = "unhealthy";
}

/// <param name="Ready">Can this node decide about keys?</param>
/// <param name="Draining">Is it about to stop?</param>
/// <param name="StoreWritable">Can changes be recorded?</param>
/// <param name="ChainIntact">Does the ledger hold together?</param>
/// <param name="RowsIntact">Are all records of keys what Mira wrote, as far as they were looked at?</param>
/// <param name="ClockRight">Is this node's clock within two seconds of the one the ledger goes by?</param>
/// <param name="Redis">Does it answer and take writes? Null when none is configured.</param>
/// <param name="LimitsShared">Were all calls of the last minute counted over all nodes? Null when no Redis is
/// configured for limits.</param>
/// <param name="Anchored">Do the ledger's checkpoints reach the external checkpoint store? Null when none is
/// configured.</param>
/// <param name="Background">Do all background loops work? The log says which one does not.</param>
/// <param name="LedgerSeq">The newest event this node has seen.</param>
/// <param name="StalenessSeconds">How long ago it last saw the ledger.</param>
/// <param name="ForwardingIgnored">Did X-Forwarded-For come from somebody who is no trusted proxy in the last minute,
/// and was ignored?</param>
/// <param name="Airtable">Null unless keys have their source of truth there.</param>
public sealed record HealthDetails(
    bool Ready, bool Draining, bool StoreWritable, bool ChainIntact, bool RowsIntact, bool ClockRight, bool? Redis, bool? LimitsShared, bool? Anchored, bool Background,
    long LedgerSeq, double StalenessSeconds, bool ForwardingIgnored, AirtableHealth? Airtable);

/// <summary>How Airtable stands.</summary>
/// <param name="Available">Did the last polls succeed?</param>
/// <param name="Findings">Keys that are refused because their records were changed or taken away manually.</param>
/// <param name="Vanished">Records that were missing at once, too many to believe; else 0.</param>
/// <param name="SeenSecondsAgo">How long ago the last poll that succeeded began; null before the first.</param>
public sealed record AirtableHealth(bool Available, int Findings, int Vanished, double? SeenSecondsAgo);
