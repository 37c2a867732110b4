using System.Net;
using FluentValidation;
using Microsoft.AspNetCore.Authorization;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Hosting;
using Mira.Web.Json;
using Mira.Web.Limits;

namespace Mira.Web.Controllers;

/// <summary>Verifies keys that were presented to somebody else: the call services make most, without a controller for the reason in docs/decisions/0005.</summary>
public sealed class VerifyEndpoint(Inquiry inquiry, VerifyKeyValidator validator, CallEvents events, TimeProvider clock)
{
    [ApiCall]
    [Authorize(Permission.KeysVerify)]
    [ChargesAnother]
    public async Task VerifyAsync(HttpContext context)
    {
        VerifyKey asked;
        using (var body = await JsonBody.ReadAsync(context))
            asked = StrictJson.ReadAtOnce(body.Bytes, VerifyKeyJson.Type);
        if (!VerifyKeyValidator.Accepts(asked))
            await validator.ValidateAndThrowAsync(asked);

        var decision = await inquiry.DecideAsync(asked.ApiKey, asked.Address, asked.Demand, asked.Cost ?? 1);
        if (decision is { Code: VerdictCode.RateLimited, Verification.Key: { } key })
            events.Limited(context, key, ApiKeyPrincipal.Of(context).Key);
        await new VerifiedAnswer(decision, clock.GetUtcNow()).WriteAsync(context);
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

    /// <summary>Is it what these rules take? The same rules without their messages, at a hundredth of the price.</summary>
    public static bool Accepts(VerifyKey question) =>
        IsGiven(question.ApiKey) && AreAskable(question.Permissions) && IsAddress(question.Ip) && IsCost(question.Cost);

    private static bool IsGiven(string? token) => token is not null;

    private static bool AreAskable(IReadOnlyList<string>? permissions) =>
        permissions is null
        || (permissions.Count <= Permission.MaximumPerKey && permissions.All(permission => permission is not null && Permission.IsAskable(permission)));

    private static bool IsAddress(string? text) => text is null || IpRange.TryParseAddress(text, out _);

    private static bool IsCost(int? cost) => cost is null or (>= 0 and <= KeyTerms.MaximumRateLimit);
}

/// <summary>A decision about a key.</summary>
/// <param name="Code">valid, invalid_key, key_expired, key_revoked, key_disabled, key_rotated_out, ip_not_allowed, insufficient_permission or rate_limited.</param>
/// <param name="KeyId">There only when the secret was right, as all that follows.</param>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record VerifiedKey(
    bool Valid, string Code, string? KeyId = null, string? Name = null, string? Role = null, string? Owner = null,
    IReadOnlyList<string>? Permissions = null, IReadOnlyDictionary<string, string>? Metadata = null, DateTimeOffset? ExpiresAt = null,
    RateLimitView? RateLimit = null);
