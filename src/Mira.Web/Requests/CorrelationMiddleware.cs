using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;
using Mira.Domain.Tokens;

namespace Mira.Web.Requests;

/// <summary>
/// Gives each request an id that its answer, its log lines and its events bear, and each answer the headers all of them
/// have.
/// </summary>
public sealed class CorrelationMiddleware(RequestDelegate next)
{
    public const string Header = "X-Correlation-ID";

    private const int MaximumLength = 64;
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
    private const int OwnLength = 20;

    private static readonly StringValues NoSniff = "nosniff";
    private static readonly StringValues NoStore = "no-store";

    // Drawn for each process: an id has to be unlike all others, and need not be hard to guess.
    private static readonly string Start = RandomNumberGenerator.GetString(Alphabet, 10);

    private static long _count;

    private static readonly SearchValues<char> Allowed = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    public Task InvokeAsync(HttpContext context)
    {
        var id = Given(context.Request) ?? NextId();
        context.TraceIdentifier = id;
        var headers = context.Response.Headers;
        headers[Header] = id;
        headers.XContentTypeOptions = NoSniff;
        headers.CacheControl = NoStore;

        // HEAD is GET without the body, which the server itself holds back.
        if (HttpMethods.IsHead(context.Request.Method))
            context.Request.Method = HttpMethods.Get;
        return next(context);
    }

    public static string IdOf(HttpContext context) => context.TraceIdentifier;

    private static string NextId() => string.Create(OwnLength, Interlocked.Increment(ref _count), static (id, count) =>
    {
        Start.CopyTo(id);
        for (var position = OwnLength - 1; position >= Start.Length; position--)
        {
            id[position] = Alphabet[(int)(count % Alphabet.Length)];
            count /= Alphabet.Length;
        }
    });

    // Anything else could break a log line, or be somebody's secret.
    private static string? Given(HttpRequest request) =>
        request.Headers[Header] is [{ Length: > 0 and <= MaximumLength } id] && !id.AsSpan().ContainsAnyExcept(Allowed) && !HoldsSecret(id) ? id : null;

    // A token that was cut to fit still has most of its secret.
    private static bool HoldsSecret(string id) =>
        id.IndexOf(KeyId.Prefix, StringComparison.Ordinal) is >= 0 and var start && id.Length - start > KeyId.Length;
}
