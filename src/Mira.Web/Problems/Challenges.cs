using Microsoft.Extensions.Primitives;

namespace Mira.Web.Problems;

/// <summary>What <c>WWW-Authenticate</c> says (RFC 6750).</summary>
public static class Challenges
{
    public static readonly StringValues Missing = "Bearer realm=\"mira\"";
    public static readonly StringValues InvalidToken = "Bearer realm=\"mira\", error=\"invalid_token\"";

    public static StringValues InsufficientScope(string permission) =>
        $"Bearer realm=\"mira\", error=\"insufficient_scope\", scope=\"{permission}\"";
}
