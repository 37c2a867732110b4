using System.Net;
using FluentValidation;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Limits;

namespace Mira.Web.Controllers;

/// <summary>Verifies keys that were presented to somebody else.</summary>
[ApiController]
[Route("api/keys/verify")]
[Tags("Verification")]
public sealed class VerificationController(Inquiry inquiry, IValidator<VerifyKey> validator, CallEvents events, TimeProvider clock) : ControllerBase
{
    /// <summary>Verify a key</summary>
    /// <remarks>Answers 200 for every decision; `code` says which. Everything else is there only when the secret was right.</remarks>
    [HttpPost(Name = "VerifyKey")]
    [Authorize(Permission.KeysVerify)]
    [ChargesAnother]
    [ProducesResponseType<VerifiedKey>(StatusCodes.Status200OK)]
    public async Task<IActionResult> Verify([FromBody] VerifyKey body)
    {
        await validator.ValidateAndThrowAsync(body);
        var decision = await inquiry.DecideAsync(body.ApiKey, body.Address, body.Demand, body.Cost ?? 1);
        return Ok(VerifiedKey.Of(Noted(decision), clock.GetUtcNow()));
    }

    private Decision Noted(Decision decision)
    {
        if (decision is { Code: VerdictCode.RateLimited, Verification.Key: { } key })
            events.Limited(HttpContext, key, ApiKeyPrincipal.Of(HttpContext).Key);
        return decision;
    }
}

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

    internal Demand Demand => new(null, Permissions ?? []);
}

public sealed class VerifyKeyValidator : AbstractValidator<VerifyKey>
{
    public VerifyKeyValidator()
    {
        RuleFor(question => question.ApiKey).NotNull().WithMessage("must be given");
        RuleFor(question => question.Permissions)
            .Must(asked => asked is null || (asked.Count <= Permission.MaximumPerKey && asked.All(permission => permission is not null && Permission.IsAskable(permission))))
            .WithMessage($"must be at most {Permission.MaximumPerKey} permissions, each resource:action without a wildcard");
        RuleFor(question => question.Ip)
            .Must(text => text is null || IpRange.TryParseAddress(text, out _))
            .WithMessage("must be an IPv4 or IPv6 address");
        RuleFor(question => question.Cost)
            .InclusiveBetween(0, KeyTerms.MaximumRateLimit)
            .WithMessage($"must be a whole number from 0 to {KeyTerms.MaximumRateLimit}");
    }
}

/// <summary>A decision about a key.</summary>
/// <param name="Code">valid, invalid_key, key_expired, key_revoked, key_disabled, key_rotated_out, ip_not_allowed, insufficient_permission or rate_limited.</param>
/// <param name="KeyId">There only when the secret was right, as all that follows.</param>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record VerifiedKey(
    bool Valid, string Code, string? KeyId = null, string? Name = null, string? Role = null, string? Owner = null,
    IReadOnlyList<string>? Permissions = null, IReadOnlyDictionary<string, string>? Metadata = null, DateTimeOffset? ExpiresAt = null,
    RateLimitView? RateLimit = null)
{
    internal static VerifiedKey Of(Decision decision, DateTimeOffset now)
    {
        if (decision.Verification.Key is not { } key)
            return new VerifiedKey(false, decision.Code.Name());

        return new VerifiedKey(
            decision.Code == VerdictCode.Valid, decision.Code.Name(), key.Id.Value, key.Name, key.Role.Name(), key.Owner, key.Permissions, key.Metadata,
            decision.Verification.Verdict.Secret!.ExpiresAt, decision.Limit is { } limit ? RateLimitView.Of(limit, now) : null);
    }
}
