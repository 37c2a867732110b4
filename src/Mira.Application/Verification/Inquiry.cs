using System.Net;
using Mira.Application.Limits;
using Mira.Application.Metrics;
using Mira.Domain.Keys;

namespace Mira.Application.Verification;

/// <summary>
/// Decides about a key somebody else was presented: its state and address, then what is asked of it, then its limit. A refused decision does not
/// count against the key.
/// </summary>
public sealed class Inquiry(Verifier verifier, RateLimiter limiter, ServiceMetrics metrics, TimeProvider clock)
{
    /// <param name="presented">The token as it was presented.</param>
    /// <param name="from">The address it was presented from, if it is known.</param>
    /// <param name="cost">What it counts for; 0 asks without counting.</param>
    /// <exception cref="Ledger.StoreUnavailableException">There is nothing to decide by.</exception>
    /// <exception cref="Ledger.OverloadedException">Too many keys are being looked up.</exception>
    public async ValueTask<Decision> DecideAsync(string? presented, IPAddress? from, Demand demand, int cost)
    {
        var began = clock.GetTimestamp();
        var decision = await FindAsync(presented, from, demand, cost);
        metrics.Count(decision.Code, clock.GetElapsedTime(began));
        return decision;
    }

    private async ValueTask<Decision> FindAsync(string? presented, IPAddress? from, Demand demand, int cost)
    {
        var verification = await verifier.LookAsync(presented, from);
        if (verification.Entry is not { Key: { } key } entry)
            return new Decision(verification.Verdict.Code, verification, null);

        var code = verification.Verdict.IsValid && !key.Meets(demand) ? VerdictCode.InsufficientPermission : verification.Verdict.Code;
        if (!limiter.IsEnabled)
            return new Decision(code, verification, null);
        if (code != VerdictCode.Valid)
            return new Decision(code, verification, limiter.Look(entry));

        var state = await limiter.ChargeAsync(entry, cost);
        return new Decision(state.IsAdmitted ? code : VerdictCode.RateLimited, verification, state);
    }
}

/// <summary>What is to be answered about a key.</summary>
/// <param name="Limit">How it stands with its limit; null while limits are off, and to who did not prove the secret.</param>
public sealed record Decision(VerdictCode Code, Verification Verification, LimitState? Limit);
