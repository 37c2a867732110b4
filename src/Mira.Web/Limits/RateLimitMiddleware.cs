using Microsoft.AspNetCore.Authorization;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Web.Authentication;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Limits;

/// <summary>
/// Charges each call to the key that makes it, before anything is done for it, and says in the answer how the key
/// stands (draft-ietf-httpapi-ratelimit-headers).
/// </summary>
public sealed class RateLimitMiddleware(RequestDelegate next, RateLimiter limiter)
{
    private const string PolicyHeader = "RateLimit-Policy";
    private const string StateHeader = "RateLimit";

    // What was made last for each role: nearly all keys of a role have one limit, and keep one text.
    private static readonly LimitPolicy?[] Policies = new LimitPolicy?[Roles.All.Count];

    public Task InvokeAsync(HttpContext context)
    {
        if (!limiter.IsEnabled || context.User is not ApiKeyPrincipal caller)
            return next(context);

        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<IAllowAnonymous>() is not null || metadata?.GetMetadata<ForwardAuthAttribute>() is not null)
            return next(context);
        if (metadata?.GetMetadata<ChargesAnotherAttribute>() is not null)
        {
            Show(context, caller, limiter.Peek(caller.Entry));
            return next(context);
        }

        var charge = limiter.ChargeAsync(caller.Entry, 1);
        return charge.IsCompletedSuccessfully ? GoOn(context, caller, charge.Result) : AwaitAsync(context, caller, charge);
    }

    /// <summary>How the caller stood after this call was charged; null while limits are off.</summary>
    public static LimitState? StateOf(HttpContext context) => context.Features.Get<ChargedCall>()?.State;

    /// <summary>
    /// Charges the caller of a proxy's question, unless it is refused already; null when the call is admitted.
    /// </summary>
    public static async ValueTask<Problem?> RefuseAsync(HttpContext context, RateLimiter limiter, Problem? refusal)
    {
        if (!limiter.IsEnabled)
            return refusal;

        var caller = ApiKeyPrincipal.Of(context);
        var state = await limiter.ChargeAsync(caller.Entry, 1, isRefused: refusal is not null);
        Show(context, caller, state);
        return refusal ?? (state.IsAdmitted ? null : Refuse(context, caller, state));
    }

    private static void Show(HttpContext context, ApiKeyPrincipal caller, LimitState state)
    {
        var headers = context.Response.Headers;
        headers[PolicyHeader] = caller.LimitPolicy ??= PolicyOf(caller.Key.Role, state.Limit);
        headers[StateHeader] = $"\"{caller.Key.Role.Name()}\";r={state.Remaining};t={state.ResetSeconds}";
    }

    private static string PolicyOf(Role role, int limit)
    {
        ref var last = ref Policies[(int)role];
        if (last is not { } known || known.Limit != limit)
            last = known = new LimitPolicy(limit, $"\"{role.Name()}\";q={limit};w=60");
        return known.Text;
    }

    private static Problem Refuse(HttpContext context, ApiKeyPrincipal caller, LimitState state)
    {
        context.RequestServices.GetRequiredService<CallEvents>().Limited(context, caller.Key, caller.Key);
        return new Problem(ProblemKind.RateLimited, RetryAfter: Math.Max(1, state.ResetSeconds));
    }

    private async Task AwaitAsync(HttpContext context, ApiKeyPrincipal caller, ValueTask<LimitState> charge) =>
        await GoOn(context, caller, await charge);

    private Task GoOn(HttpContext context, ApiKeyPrincipal caller, LimitState state)
    {
        Show(context, caller, state);
        if (!state.IsAdmitted)
            return ProblemAnswer.WriteAsync(context, Refuse(context, caller, state));

        context.Features.Set(new ChargedCall(state));
        return next(context);
    }

    private sealed record ChargedCall(LimitState State);

    private sealed record LimitPolicy(int Limit, string Text);
}
