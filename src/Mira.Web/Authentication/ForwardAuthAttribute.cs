namespace Mira.Web.Authentication;

/// <summary>
/// Marks an endpoint that a proxy asks: it understands 401, 403, 429 and 503 and nothing else, and what a caller got wrong is a refusal.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ForwardAuthAttribute : Attribute
{
    public const string RestParameter = "rest";

    public static int StatusOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized or StatusCodes.Status403Forbidden or StatusCodes.Status429TooManyRequests => status,
        >= StatusCodes.Status500InternalServerError => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status401Unauthorized,
    };

    /// <summary>Behind a path of the user's own, the query is the user's own too.</summary>
    public static bool OwnsQuery(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<ForwardAuthAttribute>() is null
        || string.IsNullOrEmpty(context.GetRouteValue(RestParameter) as string);
}
