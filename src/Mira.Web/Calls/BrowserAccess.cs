using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Mira.Web.Requests;

namespace Mira.Web.Calls;

/// <summary>Where CORS applies.</summary>
public static class BrowserAccess
{
    /// <summary>
    /// Everywhere but on forward authentication: who asks there is a proxy, and it would take the answer to a preflight
    /// for a yes. A page reads the application's answers, whose CORS is the application's own.
    /// </summary>
    public static void UseMiraCors(this IApplicationBuilder app) => app.UseWhen(IsForBrowsers, cors => cors.UseCors());

    private static bool IsForBrowsers(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<ForwardAuthAttribute>() is null && IsPlain(context.Request.Headers);

    // The answer repeats what a preflight asks for, and the server writes only printable ASCII. No browser sends
    // anything else.
    private static bool IsPlain(IHeaderDictionary headers) =>
        IsPrintable(headers.AccessControlRequestMethod) && IsPrintable(headers.AccessControlRequestHeaders);

    private static bool IsPrintable(StringValues values) => values.All(value => !value.AsSpan().ContainsAnyExceptInRange(' ', '~'));
}

/// <summary>
/// Tells caches that an answer depends on the page that asks: on every answer, because one without CORS headers does so
/// as well.
/// </summary>
public sealed class VaryByOrigin(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        context.Response.OnStarting(Say, context.Response);
        return next(context);
    }

    private static Task Say(object state)
    {
        var headers = ((HttpResponse)state).Headers;
        if (!headers.Vary.Any(line => line?.Split(',', StringSplitOptions.TrimEntries).Contains(HeaderNames.Origin, StringComparer.OrdinalIgnoreCase) == true))
            headers.Append(HeaderNames.Vary, HeaderNames.Origin);
        return Task.CompletedTask;
    }
}
