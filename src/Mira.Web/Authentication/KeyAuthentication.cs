using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.Features;
using Mira.Web.Requests;

namespace Mira.Web.Authentication;

/// <summary>
/// Asks the one handler there is who calls, and keeps it for the challenge, because it knows why it refused. The
/// platform's own middleware looks for schemes, transforms claims, copies each ticket and opens a scope of services for
/// every call; keys need none of that (docs/decisions/0012).
/// </summary>
/// <param name="services">Of the whole process: nothing the handler needs lives for one call only.</param>
public sealed class KeyAuthentication(RequestDelegate next, IServiceProvider services)
{
    private static readonly AuthenticationScheme Scheme = new(ApiKeyAuthenticationHandler.SchemeName, null, typeof(ApiKeyAuthenticationHandler));

    public Task InvokeAsync(HttpContext context)
    {
        var handler = services.GetRequiredService<ApiKeyAuthenticationHandler>();
        context.Features.Set(handler);
        var authenticating = AuthenticateAsync(handler, context);
        return authenticating.IsCompletedSuccessfully ? GoOn(context, authenticating.Result) : AwaitAsync(context, authenticating);
    }

    /// <summary>Answers a call that needs a caller and has none.</summary>
    public static Task ChallengeAsync(HttpContext context) =>
        context.Features.GetRequiredFeature<ApiKeyAuthenticationHandler>().ChallengeAsync(null);

    private static Task<AuthenticateResult> AuthenticateAsync(ApiKeyAuthenticationHandler handler, HttpContext context)
    {
        var initializing = handler.InitializeAsync(Scheme, context);
        return initializing.IsCompletedSuccessfully ? handler.AuthenticateAsync() : AuthenticateAfterAsync(initializing, handler);
    }

    private static async Task<AuthenticateResult> AuthenticateAfterAsync(Task initializing, ApiKeyAuthenticationHandler handler)
    {
        await initializing;
        return await handler.AuthenticateAsync();
    }

    private async Task AwaitAsync(HttpContext context, Task<AuthenticateResult> authenticating) => await GoOn(context, await authenticating);

    private Task GoOn(HttpContext context, AuthenticateResult result)
    {
        if (result.Principal is { } caller)
        {
            context.User = caller;
            context.Features.Get<ConnectionRoom.Guest>()?.Welcome();
        }

        return next(context);
    }
}
