using Microsoft.AspNetCore.Http.Features;
using Mira.Web.Problems;

namespace Mira.Web.Authentication;

/// <summary>
/// Keeps forward authentication to itself. Envoy appends its user's path to the one it asks at, and the server resolves
/// dots before it routes: a path that climbs out would get another endpoint's answer, and the proxy would take a public
/// endpoint's 200 for a yes. A proxy may also pass on the headers of a body without the body: the connection then ends
/// with the answer, or the next question would be read as that body.
/// </summary>
public sealed class ForwardPath(RequestDelegate next)
{
    private const string Path = "/api/auth/forward";

    private static readonly Problem Climbed =
        new(ProblemKind.MalformedRequest with { Status = StatusCodes.Status401Unauthorized }, "The path leads out of what is asked about.");

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Request.Path.StartsWithSegments(Path, StringComparison.OrdinalIgnoreCase))
        {
            if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true } && !HasCome(context.Request))
                context.Response.Headers.Connection = "close";
            return next(context);
        }

        var asked = PathOf(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        return asked.StartsWith(Path, StringComparison.OrdinalIgnoreCase) && asked[Path.Length..] is ['/', ..]
            ? throw new ProblemException(Climbed)
            : next(context);
    }

    // A target may name scheme and host before its path (RFC 9112, section 3.2.2).
    private static ReadOnlySpan<char> PathOf(string target)
    {
        if (target.StartsWith('/'))
            return target;

        var scheme = target.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0)
            return default;

        var rest = target.AsSpan(scheme + 3);
        var path = rest.IndexOf('/');
        return path < 0 ? default : rest[path..];
    }

    // What lies in the buffer already is skipped, which waits for nothing. Who waits for a word before it sends a body
    // gets the answer instead.
    private static bool HasCome(HttpRequest request)
    {
        if (request.Headers.Expect.Count > 0)
            return false;

        try
        {
            while (request.BodyReader.TryRead(out var read))
            {
                request.BodyReader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                    return true;
            }
        }
        catch (BadHttpRequestException)
        {
            // Too large, or badly framed: where it ends is not known.
        }

        return false;
    }
}
