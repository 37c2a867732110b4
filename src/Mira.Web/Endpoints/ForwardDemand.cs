using Microsoft.Extensions.Primitives;
using Mira.Domain.Keys;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Endpoints;

/// <summary>What a proxy demands of the key it asks about.</summary>
internal static class ForwardDemand
{
    private static readonly QueryCollection EmptyQuery = new();

    /// <summary>Null when the key meets it; what is no role or permission, no key can meet.</summary>
    public static Problem? Refuse(HttpContext context, ApiKey key)
    {
        if (Of(context) is not { } demand)
            return Refusal("The requirement is not a role or permission.");

        if (demand.Permissions.FirstOrDefault(asked => !key.Permits(asked)) is { } missing)
        {
            context.Response.Headers.WWWAuthenticate = Challenges.InsufficientScope(missing);
            return Refusal($"This call needs the permission {missing}.");
        }

        return key.Meets(demand) ? null : Refusal($"This call needs at least the role {demand.Role!.Value.Name()}.");
    }

    private static Problem Refusal(string detail) => new(ProblemKind.InsufficientPermission, detail);

    private static Demand? Of(HttpContext context)
    {
        var request = context.Request;
        if (!request.QueryString.HasValue && request.Headers["Mira-Require-Role"].Count + request.Headers["Mira-Require-Permission"].Count == 0)
            return Demand.Nothing;

        var query = ForwardAuthAttribute.OwnsQuery(context) && request.QueryString.HasValue ? request.Query : EmptyQuery;
        Role? highest = null;
        foreach (var name in Items(query["role"], request.Headers["Mira-Require-Role"]))
        {
            if (!Roles.TryParse(name, out var role))
                return null;
            highest = highest > role ? highest : role;
        }

        List<string> permissions = [.. Items(query["permission"], request.Headers["Mira-Require-Permission"])];
        return permissions.All(Permission.IsAskable) ? new Demand(highest, permissions) : null;
    }

    // A header may come as several lines or as one line with commas; both are one list (RFC 9110, section 5.3).
    private static IEnumerable<string> Items(StringValues query, StringValues header) =>
        query.Select(value => value ?? "").Concat(header.SelectMany(line => (line ?? "").Split(',')).Select(item => item.Trim()));
}
