using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Net.Http.Headers;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Web.Authentication;
using Mira.Web.Json;
using Mira.Web.Problems;

namespace Mira.Web.Endpoints;

/// <summary>What the headers of a change say: which version it is meant for, and whether it is a repeat.</summary>
internal static class RequestHeaders
{
    private const string IdempotencyKey = "Idempotency-Key";
    private const int MaximumIdempotencyKeyLength = 128;

    private static readonly SearchValues<char> IdempotencyCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    public static VersionCondition IfMatch(HttpRequest request)
    {
        var header = request.Headers.IfMatch;
        if (header.Count == 0)
            return VersionCondition.Any;
        if (!EntityTagHeaderValue.TryParseStrictList(header, out var tags))
            return VersionCondition.Unreadable;
        if (tags.Any(tag => tag == EntityTagHeaderValue.Any))
            return VersionCondition.Any;

        // A proxy that compresses answers weakens our tags. They name versions and not bytes, so a weak one says the
        // same.
        return new VersionCondition([.. tags.Select(VersionOf).Where(version => version > 0)]);
    }

    public static string ETag(int version) => $"\"{version}\"";

    /// <exception cref="ProblemException">It is not 1 to 128 of the allowed characters, or there twice.</exception>
    public static IdempotentRequest? Idempotency(HttpContext context)
    {
        var header = context.Request.Headers[IdempotencyKey];
        if (header.Count == 0)
            return null;
        if (header is not [{ Length: > 0 and <= MaximumIdempotencyKeyLength } key] || key.AsSpan().ContainsAnyExcept(IdempotencyCharacters))
            throw new ProblemException(new Problem(ProblemKind.InvalidIdempotencyKey, $"{IdempotencyKey} must be 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'."));

        return new IdempotentRequest(ApiKeyPrincipal.Of(context).Key.Id.Value, key, Fingerprint(context));
    }

    private static string Fingerprint(HttpContext context)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{context.Request.Method} {context.Request.Path}\n"));
        hash.AppendData((context.Features.Get<RequestBody>()?.Bytes ?? default).Span);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static int VersionOf(EntityTagHeaderValue tag) =>
        int.TryParse(tag.Tag.AsSpan().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var version) && ETag(version) == tag.Tag ? version : 0;
}
