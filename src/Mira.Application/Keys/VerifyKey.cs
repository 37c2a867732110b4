using System.Net;
using FluentValidation;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>A key to be verified, and what is asked of it.</summary>
public sealed record VerifyKey
{
    /// <summary>The token as it was presented.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Permissions it must have, all of them, without wildcards.</summary>
    /// <example>["documents:read"]</example>
    public IReadOnlyList<string>? Permissions { get; init; }

    /// <summary>The address it was presented from; a key with allowed_ips needs it.</summary>
    /// <example>10.1.2.3</example>
    public string? Ip { get; init; }

    /// <summary>How many calls it counts for, 0 to 10 000 000, default 1; 0 asks without counting.</summary>
    public int? Cost { get; init; }

    internal IPAddress? Address => IpRange.TryParseAddress(Ip, out var address) ? address : null;

    internal Demand Demand => Permissions is null ? Demand.Nothing : new Demand(null, Permissions);
}

public sealed class VerifyKeyValidator : AbstractValidator<VerifyKey>
{
    public VerifyKeyValidator()
    {
        RuleFor(question => question.ApiKey).Must(IsGiven).WithMessage("must be given");
        RuleFor(question => question.Permissions).Must(AreAskable)
            .WithMessage($"must be at most {Permission.MaximumPerKey} permissions, each resource:action without a wildcard");
        RuleFor(question => question.Ip).Must(IsAddress).WithMessage("must be an IPv4 or IPv6 address");
        RuleFor(question => question.Cost).Must(IsCost).WithMessage($"must be a whole number from 0 to {KeyTerms.MaximumRateLimit}");
    }

    /// <summary>
    /// True when the rules accept it: the same rules without their messages, at a hundredth of the price.
    /// </summary>
    public static bool Accepts(VerifyKey question) =>
        IsGiven(question.ApiKey) && AreAskable(question.Permissions) && IsAddress(question.Ip) && IsCost(question.Cost);

    private static bool IsGiven(string? token) => token is not null;

    private static bool AreAskable(IReadOnlyList<string>? permissions) =>
        permissions is null
        || (permissions.Count <= Permission.MaximumPerKey && permissions.All(permission => permission is not null && Permission.IsAskable(permission)));

    private static bool IsAddress(string? text) => text is null || IpRange.TryParseAddress(text, out _);

    private static bool IsCost(int? cost) => cost is null or (>= 0 and <= KeyTerms.MaximumRateLimit);
}

/// <summary>
/// Verifies a key that was presented to somebody else: first its state and the address, then the permissions it must
/// have, then its limit. A refused decision does not count against the key. The endpoint calls this handler itself:
/// services make this call on every request they serve, and a mediator would add its own cost to each.
/// </summary>
public sealed class VerifyKeyHandler(Verifier verifier, RateLimiter limiter, ServiceMetrics metrics, TimeProvider clock)
{
    /// <param name="request">Accepted by <see cref="VerifyKeyValidator"/>.</param>
    /// <exception cref="StoreUnavailableException">There is nothing to decide by.</exception>
    /// <exception cref="OverloadedException">Too many keys are being looked up.</exception>
    public async ValueTask<Decision> Handle(VerifyKey request)
    {
        var began = clock.GetTimestamp();
        var decision = await DecideAsync(request);
        metrics.Count(decision.Code, clock.GetElapsedTime(began));
        return decision;
    }

    private async ValueTask<Decision> DecideAsync(VerifyKey request)
    {
        var verification = await verifier.LookAsync(request.ApiKey, request.Address);
        if (verification.Entry is not { Key: { } key } entry)
            return new Decision(verification.Verdict.Code, verification, null);

        var code = verification.Verdict.IsValid && !key.Meets(request.Demand) ? VerdictCode.InsufficientPermission : verification.Verdict.Code;
        if (!limiter.IsEnabled)
            return new Decision(code, verification, null);

        var state = await limiter.ChargeAsync(entry, request.Cost ?? 1, isRefused: code != VerdictCode.Valid);
        return new Decision(code == VerdictCode.Valid && !state.IsAdmitted ? VerdictCode.RateLimited : code, verification, state);
    }
}

/// <summary>The decision about a presented key.</summary>
/// <param name="Limit">The state of the key's limit; null while limits are off, and for callers that did not prove the
/// secret.</param>
public sealed record Decision(VerdictCode Code, Verification.Verification Verification, LimitState? Limit);
