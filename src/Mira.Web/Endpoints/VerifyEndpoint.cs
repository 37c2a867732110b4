using FluentValidation;
using Microsoft.AspNetCore.Authorization;
using Mira.Application.Keys;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Json;

using Mira.Web.Requests;
namespace Mira.Web.Endpoints;

/// <summary>
/// Verifies keys that were presented to somebody else: the call services make most, without a controller for the reason
/// in docs/decisions/0005.
/// </summary>
public sealed class VerifyEndpoint(VerifyKeyHandler handler, VerifyKeyValidator validator, CallEvents events, TimeProvider clock)
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

        var decision = await handler.Handle(asked);
        if (decision is { Code: VerdictCode.RateLimited, Verification.Key: { } key })
            events.Limited(context, key, ApiKeyPrincipal.Of(context).Key);
        await new VerifiedAnswer(decision, clock.GetUtcNow()).WriteAsync(context);
    }
}

/// <summary>A decision about a key.</summary>
/// <param name="Code">valid, invalid_key, key_expired, key_revoked, key_disabled, key_rotated_out, ip_not_allowed,
/// insufficient_permission or rate_limited.</param>
/// <param name="KeyId">There only when the secret was right, as all that follows.</param>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record VerifiedKey(
    bool Valid, string Code, string? KeyId = null, string? Name = null, string? Role = null, string? Owner = null,
    IReadOnlyList<string>? Permissions = null, IReadOnlyDictionary<string, string>? Metadata = null, DateTimeOffset? ExpiresAt = null,
    RateLimitView? RateLimit = null);
