using Microsoft.AspNetCore.Authorization;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Authorization;
using Mira.Web.Limits;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Endpoints;

/// <summary>
/// What services and proxies ask on every request they serve. Mapped without a controller, whose invoker alone would
/// cost a tenth of the call (docs/decisions/0005).
/// </summary>
public sealed class AuthEndpoints(RateLimiter limiter, TimeProvider clock)
{
    private const string Tag = "Verification";
    private const string NoOwner = "-";

    public static void Map(IEndpointRouteBuilder app)
    {
        var endpoints = new AuthEndpoints(
            app.ServiceProvider.GetRequiredService<RateLimiter>(), app.ServiceProvider.GetRequiredService<TimeProvider>());
        app.MapGet("/api/auth/validate", endpoints.ValidateAsync)
            .WithName("ValidateKey").WithTags(Tag).WithSummary("Validate the key presented")
            // The method is what puts a bare request delegate into the OpenAPI document.
            .WithMetadata(((Delegate)endpoints.ValidateAsync).Method, new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(ValidatedKey), ["application/json"]));
        app.Map($"/api/auth/forward/{{**{ForwardAuthAttribute.RestParameter}}}", endpoints.ForwardAsync)
            .WithName("ForwardAuth").ExcludeFromDescription();
        var verify = app.ServiceProvider.GetRequiredService<VerifyEndpoint>();
        app.MapPost("/api/keys/verify", verify.VerifyAsync)
            .WithName("VerifyKey").WithTags(Tag).WithSummary("Verify a key")
            .WithDescription("Answers 200 for every decision; `code` says which. Everything else is there only when the secret was right.")
            .WithMetadata(((Delegate)verify.VerifyAsync).Method, new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(VerifiedKey), ["application/json"]));
    }

    [ApiCall]
    [Authorize(Policies.AnyKey)]
    public Task ValidateAsync(HttpContext context) =>
        new ValidatedAnswer(ApiKeyPrincipal.Of(context), RateLimitMiddleware.StateOf(context), clock.GetUtcNow()).WriteAsync(context);

    /// <summary>
    /// Decides for nginx auth_request, Traefik ForwardAuth, Caddy forward_auth and Envoy ext_authz. Takes any method,
    /// reads no body, and answers 200 with the caller in headers, or 401, 403, 429 or 503.
    /// </summary>
    [ApiCall]
    [Authorize(Policies.AnyKey)]
    [ForwardAuth]
    public async Task ForwardAsync(HttpContext context)
    {
        var key = ApiKeyPrincipal.Of(context).Key;
        if (await RateLimitMiddleware.RefuseAsync(context, limiter, ForwardDemand.Refuse(context, key)) is { } refusal)
        {
            if (refusal.Kind == ProblemKind.InsufficientPermission)
                context.RequestServices.GetRequiredService<CallEvents>().Denied(context, key, refusal.Kind);
            await ProblemAnswer.WriteAsync(context, refusal);
            return;
        }

        // All of them, always and never empty, so that none of a caller's own gets through: some proxies do not copy an
        // empty header.
        var headers = context.Response.Headers;
        headers["X-Mira-Key-Id"] = key.Id.Value;
        headers["X-Mira-Key-Name"] = Uri.EscapeDataString(key.Name);
        headers["X-Mira-Role"] = key.Role.Name();
        headers["X-Mira-Owner"] = key.Owner switch
        {
            null => NoOwner,
            NoOwner => "%2D",
            var owner => Uri.EscapeDataString(owner),
        };
    }
}
