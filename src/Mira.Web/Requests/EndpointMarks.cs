
namespace Mira.Web.Requests;

/// <summary>
/// Marks an endpoint that a proxy asks: it understands 401, 403, 429 and 503 and nothing else, and what a caller got
/// wrong is a refusal.
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

/// <summary>Marks an endpoint of the API that has no controller.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ApiCallAttribute : Attribute;

/// <summary>Says what an endpoint answers with instead of JSON. Who asks for JSON gets it all the same.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class AnswersAttribute(params string[] types) : Attribute
{
    /// <summary>The one that is meant without a word first.</summary>
    public string[] Types { get; } = [.. types, "application/json"];
}

/// <summary>Marks a public endpoint that says more to a caller it knows.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ReadsCredentialsAttribute : Attribute;

/// <summary>
/// Marks an endpoint that charges the key it is asked about and never its caller. Forward authentication charges its
/// caller itself.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ChargesAnotherAttribute : Attribute;
