using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Policy;
using Mira.Web.Authentication;
using Mira.Web.Problems;

namespace Mira.Web.Authorization;

/// <summary>
/// Holds each call to the policy of its endpoint; one without a policy, and a call to nothing, to the fallback policy.
/// The platform's own middleware does the same with a scope of services and a dictionary for every call
/// (docs/decisions/0012).
/// </summary>
public sealed class KeyAuthorization(RequestDelegate next, IAuthorizationPolicyProvider policies, IPolicyEvaluator evaluator, CallEvents events)
{
    private static readonly Endpoint Nothing = new(null, EndpointMetadataCollection.Empty, "nothing");

    // Found once for each endpoint, and forgotten with it.
    private readonly ConditionalWeakTable<Endpoint, AuthorizationPolicy> _policies = [];

    public Task InvokeAsync(HttpContext context)
    {
        var endpoint = context.GetEndpoint() ?? Nothing;
        if (endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            return next(context);
        if (!_policies.TryGetValue(endpoint, out var policy))
            return FindAsync(context, endpoint);

        var deciding = evaluator.AuthorizeAsync(policy, AuthenticateResult.NoResult(), context, context);
        return deciding.IsCompletedSuccessfully ? Go(context, deciding.Result) : AwaitAsync(context, deciding);
    }

    private async Task FindAsync(HttpContext context, Endpoint endpoint)
    {
        var policy = await AuthorizationPolicy.CombineAsync(policies, endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>())
            ?? throw new InvalidOperationException("There is no fallback policy.");
        _policies.AddOrUpdate(endpoint, policy);
        await Go(context, await evaluator.AuthorizeAsync(policy, AuthenticateResult.NoResult(), context, context));
    }

    private async Task AwaitAsync(HttpContext context, Task<PolicyAuthorizationResult> deciding) => await Go(context, await deciding);

    private Task Go(HttpContext context, PolicyAuthorizationResult decided) => decided switch
    {
        { Succeeded: true } => next(context),
        { Challenged: true } => KeyAuthentication.ChallengeAsync(context),
        _ => RefuseAsync(context, decided.AuthorizationFailure?.FailedRequirements.ToList() ?? []),
    };

    // Names the permission that is missing.
    private Task RefuseAsync(HttpContext context, List<IAuthorizationRequirement> failed)
    {
        var missing = failed.OfType<PermissionRequirement>().FirstOrDefault();
        var kind = missing is null && failed.OfType<CurrentSecretRequirement>().Any() ? ProblemKind.SupersededSecret : ProblemKind.InsufficientPermission;
        events.Denied(context, ApiKeyPrincipal.Of(context).Key, kind);
        if (missing is null)
            return ProblemAnswer.WriteAsync(context, kind);

        context.Response.Headers.WWWAuthenticate = Challenges.InsufficientScope(missing.Permission);
        return ProblemAnswer.WriteAsync(context, new Problem(kind, $"This call needs the permission {missing.Permission}."));
    }
}
