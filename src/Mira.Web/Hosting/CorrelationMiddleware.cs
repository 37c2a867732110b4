using System.Buffers;
using System.Security.Cryptography;

namespace Mira.Web.Hosting;

/// <summary>Gives each request an id that its answer, its log lines and its events bear, and each answer the headers all of them have.</summary>
public sealed class CorrelationMiddleware(RequestDelegate next)
{
    public const string Header = "X-Correlation-ID";

    private const int MaximumLength = 64;
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

    private static readonly SearchValues<char> Allowed = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    public Task InvokeAsync(HttpContext context)
    {
        var id = Given(context.Request) ?? RandomNumberGenerator.GetString(Alphabet, 20);
        context.TraceIdentifier = id;
        var headers = context.Response.Headers;
        headers[Header] = id;
        headers.XContentTypeOptions = "nosniff";
        headers.CacheControl = "no-store";

        // HEAD is GET without the body, which the server itself holds back.
        if (HttpMethods.IsHead(context.Request.Method))
            context.Request.Method = HttpMethods.Get;
        return next(context);
    }

    public static string IdOf(HttpContext context) => context.TraceIdentifier;

    // Anything else could break a log line, or be somebody's secret.
    private static string? Given(HttpRequest request) =>
        request.Headers[Header] is [{ Length: > 0 and <= MaximumLength } id] && !id.AsSpan().ContainsAnyExcept(Allowed) ? id : null;
}
