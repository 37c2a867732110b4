using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Authorization.Infrastructure;
using Microsoft.AspNetCore.Authorization.Policy;
using Mira.Domain.Keys;
using Mira.Web.Authentication;

namespace Mira.Web.Authorization;

/// <summary>One policy for each permission, by its name. An endpoint without a policy is closed to everyone.</summary>
public static class Policies
{
    /// <summary>Any valid key.</summary>
    public const string AnyKey = "any-key";

    private static readonly string[] Permissions =
    [
        Permission.KeysRead, Permission.KeysVerify, Permission.KeysManage, Permission.StatsRead, Permission.AuditRead,
    ];

    public static void Configure(AuthorizationOptions options)
    {
        options.AddPolicy(AnyKey, policy => policy.RequireAuthenticatedUser());
        foreach (var permission in Permissions)
            options.AddPolicy(permission, policy => policy.RequireAuthenticatedUser().AddRequirements(RequirementsOf(permission)));

        options.FallbackPolicy = new AuthorizationPolicyBuilder().RequireAuthenticatedUser().AddRequirements(new NoEndpointRequirement()).Build();
    }

    // A thief with an old secret must not be able to rotate the owner out.
    private static IAuthorizationRequirement[] RequirementsOf(string permission) => permission == Permission.KeysManage
        ? [new PermissionRequirement(permission), new CurrentSecretRequirement()]
        : [new PermissionRequirement(permission)];
}

public sealed record PermissionRequirement(string Permission) : IAuthorizationRequirement;

public sealed record CurrentSecretRequirement : IAuthorizationRequirement;

/// <summary>
/// Lets a caller be told that there is nothing here, and nobody into an endpoint whose policy was forgotten.
/// </summary>
public sealed record NoEndpointRequirement : IAuthorizationRequirement;

/// <summary>
/// Holds a caller to the requirements of a policy. The platform's own evaluator asks every handler about every
/// requirement in objects made for each call; there are four requirements here, and one that is not among them is not
/// met.
/// </summary>
public sealed class KeyPolicyEvaluator : IPolicyEvaluator
{
    private static readonly Task<AuthenticateResult> Nobody = Task.FromResult(AuthenticateResult.NoResult());
    private static readonly Task<PolicyAuthorizationResult> Granted = Task.FromResult(PolicyAuthorizationResult.Success());
    private static readonly Task<PolicyAuthorizationResult> Challenged = Task.FromResult(PolicyAuthorizationResult.Challenge());

    /// <summary>Who calls was found out before, by <see cref="KeyAuthentication"/>.</summary>
    public Task<AuthenticateResult> AuthenticateAsync(AuthorizationPolicy policy, HttpContext context) => Nobody;

    public Task<PolicyAuthorizationResult> AuthorizeAsync(
        AuthorizationPolicy policy, AuthenticateResult authenticationResult, HttpContext context, object? resource)
    {
        if (context.User is not ApiKeyPrincipal caller)
            return Challenged;

        List<IAuthorizationRequirement>? failed = null;
        foreach (var requirement in policy.Requirements)
        {
            if (!IsMet(requirement, caller, context))
                (failed ??= []).Add(requirement);
        }

        return failed is null ? Granted : Task.FromResult(PolicyAuthorizationResult.Forbid(AuthorizationFailure.Failed(failed)));
    }

    private static bool IsMet(IAuthorizationRequirement requirement, ApiKeyPrincipal caller, HttpContext context) => requirement switch
    {
        DenyAnonymousAuthorizationRequirement => true,
        PermissionRequirement asked => caller.HasClaim(ApiKeyPrincipal.PermissionClaim, asked.Permission),
        CurrentSecretRequirement => !caller.HasClaim(claim => claim.Type == ApiKeyPrincipal.SupersededClaim),
        // Routing has endpoints of its own that say 405 or 415; they are not mapped, and have no route.
        NoEndpointRequirement => context.GetEndpoint() is not RouteEndpoint,
        _ => false,
    };
}
