using Microsoft.AspNetCore.Http.Features;
using Mira.Web.Problems;

namespace Mira.Web.Authentication;

/// <summary>
/// Keeps forward authentication to itself. Envoy appends its user's path to the one it asks at, and the server resolves dots before it routes: a
/// path that climbs out would get another endpoint's answer, and the proxy would take a public endpoint's 200 for a yes.
/// </summary>
public sealed class ForwardPath(RequestDelegate next)
{
    private const string Path = "/api/auth/forward";

    private static readonly Problem Climbed =
        new(ProblemKind.MalformedRequest with { Status = StatusCodes.Status401Unauthorized }, "The path leads out of what is asked about.");

    public Task InvokeAsync(HttpContext context)
    {
        var asked = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        return asked.StartsWith(Path, StringComparison.OrdinalIgnoreCase) && !context.Request.Path.StartsWithSegments(Path)
               && asked.AsSpan(Path.Length) is ['/', ..]
            ? throw new ProblemException(Climbed)
            : next(context);
    }
}
