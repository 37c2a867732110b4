using Mira.Web.Authentication;
using Mira.Web.Authorization;
using Mira.Web.Limits;
using Mira.Web.Logging;
using Mira.Web.OpenApi;
using Mira.Web.Requests;

namespace Mira.Web.Calls;

/// <summary>
/// The path of a call, in the order in which its steps run. The endpoints are mapped behind the last step.
/// </summary>
public static class CallPipeline
{
    public static void Use(WebApplication app)
    {
        var edge = app.Services.GetRequiredService<EdgeOptions>();
        KeepPlatformOut(app);

        // Time and log: outermost, so that they see every response, also those that the steps below make themselves.
        app.UseMiddleware<RequestTimer>();
        if (app.Services.GetService<RequestLog>() is not null)
            app.UseMiddleware<RequestLogMiddleware>();

        // Every response has its id and its headers, and every error below this line ends as a problem.
        app.UseMiddleware<CorrelationMiddleware>();
        if (edge.VariesByOrigin)
            app.UseMiddleware<VaryByOrigin>();
        app.UseMiddleware<ProblemMiddleware>();

        // Paths that try to leave forward authentication are refused before anything is looked up, and calls beyond the
        // node's bound are shed.
        app.UseMiddleware<ForwardPath>();
        app.UseMiddleware<LoadGuard>();

        // The caller's address is known before a key is bound to it.
        var ignored = app.Services.GetRequiredService<IgnoredForwarding>();
        app.Use(next => context =>
        {
            ignored.Look(context);
            return next(context);
        });
        if (edge.TrustedProxies.Count > 0)
            app.UseForwardedHeaders();

        // A browser's preflight and the page of the API need no key.
        app.UseRouting();
        if (edge.CorsEnabled)
            app.UseMiraCors();
        app.UseMiraSwagger();

        // Who calls, whether the key has calls left, and what it may do (docs/decisions/0012 says why these are not the
        // platform's).
        app.UseMiddleware<KeyAuthentication>();
        app.UseMiddleware<RateLimitMiddleware>();
        app.UseMiddleware<KeyAuthorization>();

        // What holds for every endpoint: the media types it accepts, and no unknown or repeated parameter.
        app.UseMiddleware<RequestRules>();
    }

    // Where its services are registered, the platform puts its own authentication and authorization before all that is
    // used here, unless this says that they are there.
    private static void KeepPlatformOut(IApplicationBuilder app)
    {
        app.Properties["__AuthenticationMiddlewareSet"] = true;
        app.Properties["__AuthorizationMiddlewareSet"] = true;
    }
}
