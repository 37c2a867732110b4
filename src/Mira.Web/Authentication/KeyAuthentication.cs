using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;

namespace Mira.Web.Authentication;

/// <summary>
/// Asks the one handler there is. The platform's own also runs transformations of claims, copies each ticket and signs people in and out, of which
/// keys need nothing.
/// </summary>
public sealed class KeyAuthentication : IAuthenticationService
{
    public async Task<AuthenticateResult> AuthenticateAsync(HttpContext context, string? scheme) =>
        await (await HandlerAsync(context)).AuthenticateAsync();

    public async Task ChallengeAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) =>
        await (await HandlerAsync(context)).ChallengeAsync(properties);

    public async Task ForbidAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) =>
        await (await HandlerAsync(context)).ForbidAsync(properties);

    /// <exception cref="NotSupportedException">Always: a key is presented with each call.</exception>
    public Task SignInAsync(HttpContext context, string? scheme, ClaimsPrincipal principal, AuthenticationProperties? properties) =>
        throw new NotSupportedException("Keys do not sign in.");

    /// <exception cref="NotSupportedException">Always: a key is presented with each call.</exception>
    public Task SignOutAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) =>
        throw new NotSupportedException("Keys do not sign out.");

    private static async ValueTask<IAuthenticationHandler> HandlerAsync(HttpContext context) =>
        await context.RequestServices.GetRequiredService<IAuthenticationHandlerProvider>().GetHandlerAsync(context, ApiKeyAuthenticationHandler.SchemeName)
        ?? throw new InvalidOperationException("The scheme is not registered.");
}

/// <summary>The request's one handler: the challenge is made by the one that authenticated, which knows why.</summary>
public sealed class KeyHandlerProvider(IAuthenticationSchemeProvider schemes) : IAuthenticationHandlerProvider
{
    private ApiKeyAuthenticationHandler? _handler;

    public async Task<IAuthenticationHandler?> GetHandlerAsync(HttpContext context, string authenticationScheme)
    {
        if (_handler is not null)
            return _handler;

        var handler = context.RequestServices.GetRequiredService<ApiKeyAuthenticationHandler>();
        await handler.InitializeAsync((await schemes.GetSchemeAsync(authenticationScheme))!, context);
        return _handler = handler;
    }
}
