using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Authorization;
using Mira.Web.Limits;
using Mira.Web.Problems;

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
    public IActionResult Validate() =>
        new ValidatedAnswer(ApiKeyPrincipal.Of(HttpContext), RateLimitMiddleware.StateOf(HttpContext), clock.GetUtcNow());

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
        var key = ApiKeyPrincipal.Of(HttpContext).Key;
        var refusal = ForwardDemand.Refuse(HttpContext, key) ?? await RateLimitMiddleware.RefuseAsync(HttpContext, limiter);
        return refusal is null ? new ForwardedAnswer(key) : new ProblemResult(refusal);
    }
}

/// <summary>Yes, and whose key it is: all headers, always, so that none of a caller's own gets through a proxy that copies them.</summary>
internal sealed class ForwardedAnswer(ApiKey key) : IActionResult
{
    public Task ExecuteResultAsync(ActionContext context)
    {
        var headers = context.HttpContext.Response.Headers;
        headers["X-Mira-Key-Id"] = key.Id.Value;
        headers["X-Mira-Key-Name"] = Uri.EscapeDataString(key.Name);
        headers["X-Mira-Role"] = key.Role.Name();
        headers["X-Mira-Owner"] = key.Owner is null ? "" : Uri.EscapeDataString(key.Owner);
        return Task.CompletedTask;
    }
}
