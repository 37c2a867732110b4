using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Authorization;
using Mira.Web.Limits;

namespace Mira.Web.Controllers;

/// <summary>What services ask about the key that was presented to them.</summary>
[ApiController]
[Route("api/auth")]
[Tags("Verification")]
public sealed class AuthController(RateLimiter limiter, TimeProvider clock) : ControllerBase
{
    /// <summary>Validate the key presented</summary>
    [HttpGet("validate", Name = "ValidateKey")]
    [Authorize(Policies.AnyKey)]
    [ProducesResponseType<ValidatedKey>(StatusCodes.Status200OK)]
    public IActionResult Validate()
    {
        var caller = ApiKeyPrincipal.Of(HttpContext);
        var key = caller.Key;
        var now = clock.GetUtcNow();
        return Ok(new ValidatedKey(
            true, key.Id.Value, key.Name, key.Role.Name(), key.Permissions, caller.Secret.ExpiresAt, key.StatusAt(now).Name(),
            RateLimitMiddleware.StateOf(HttpContext) is { } state ? RateLimitView.Of(state, now) : null));
    }

    /// <summary>Decide for a proxy</summary>
    /// <remarks>
    /// For nginx auth_request, Traefik ForwardAuth, Caddy forward_auth and Envoy ext_authz. Takes any method, reads no body, and answers 200 with the
    /// caller in headers, or 401, 403, 429 or 503. Requirements come from `role` and `permission`, which may be repeated, or from the headers
    /// `Mira-Require-Role` and `Mira-Require-Permission`; behind a further path only the headers count.
    /// </remarks>
    [Route("forward/{**rest}", Name = "ForwardAuth")]
    [Authorize(Policies.AnyKey)]
    [ForwardAuth]
    [ChargesItself]
    [ApiExplorerSettings(IgnoreApi = true)]
    public async Task<IActionResult> Forward()
    {
        var caller = ApiKeyPrincipal.Of(HttpContext);
        var key = caller.Key;
        ForwardDemand.DemandMet(HttpContext, key);
        await RateLimitMiddleware.ChargeAsync(HttpContext, limiter);
        var headers = Response.Headers;
        headers["X-Mira-Key-Id"] = key.Id.Value;
        headers["X-Mira-Key-Name"] = Uri.EscapeDataString(key.Name);
        headers["X-Mira-Role"] = key.Role.Name();
        headers["X-Mira-Owner"] = key.Owner is null ? "" : Uri.EscapeDataString(key.Owner);
        return new EmptyResult();
    }
}

/// <summary>The key presented, which is valid.</summary>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="Status">active, or rotating.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record ValidatedKey(
    bool Valid, string KeyId, string Name, string Role, IReadOnlyList<string> Permissions, DateTimeOffset? ExpiresAt, string Status, RateLimitView? RateLimit);

/// <summary>Where a key stands within its limit.</summary>
/// <param name="Limit">Calls a minute.</param>
/// <param name="Remaining">Calls left now.</param>
/// <param name="ResetAt">When the oldest counted call leaves the window.</param>
public sealed record RateLimitView(int Limit, int Remaining, DateTimeOffset ResetAt)
{
    internal static RateLimitView Of(LimitState state, DateTimeOffset now) => new(state.Limit, state.Remaining, now.AddSeconds(state.ResetSeconds));
}
