using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Authentication;

/// <summary>
/// What a request carries as its credential: nothing, one token, or something that is refused before any token is
/// looked at.
/// </summary>
/// <param name="Token">Null when there is none.</param>
/// <param name="Refusal">Null when the token can be looked at.</param>
public readonly record struct Credential(string? Token, ProblemKind? Refusal)
{
    private const string ApiKeyHeader = "X-API-Key";
    private const string Scheme = "Bearer";

    /// <summary>What credentials are called where they do not belong.</summary>
    internal static readonly string[] QueryNames = ["api_key", "access_token"];

    public static Credential Of(HttpContext context)
    {
        var request = context.Request;
        if (request.QueryString.HasValue && ForwardAuthAttribute.OwnsQuery(context) && QueryNames.Any(request.Query.ContainsKey))
            return new Credential(null, ProblemKind.CredentialsInQuery);

        var authorization = request.Headers.Authorization;
        var apiKey = request.Headers[ApiKeyHeader];
        if (authorization.Count + apiKey.Count == 0)
            return default;
        if (apiKey.Count > 1 || (authorization.Count > 1 && authorization.Any(IsBearer)))
            return new Credential(null, ProblemKind.AmbiguousCredentials);

        // A scheme other than Bearer counts as nothing.
        var bearer = authorization.Count == 1 && IsBearer(authorization[0]) ? authorization[0]![Scheme.Length..].TrimStart(' ') : null;
        return (bearer, apiKey.Count) switch
        {
            (not null, 1) => new Credential(null, ProblemKind.AmbiguousCredentials),
            (not null, _) => new Credential(bearer, null),
            (null, 1) => new Credential(apiKey[0] ?? "", null),
            _ => default,
        };
    }

    public override string ToString() => Token is null ? "no credential" : "a credential";

    private static bool IsBearer(string? value) =>
        value is not null
        && value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
        && (value.Length == Scheme.Length || value[Scheme.Length] == ' ');
}
