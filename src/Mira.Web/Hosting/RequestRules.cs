using Microsoft.AspNetCore.Mvc.Controllers;
using Microsoft.Net.Http.Headers;
using Mira.Web.Authentication;
using Mira.Web.Problems;

namespace Mira.Web.Hosting;

/// <summary>What holds for every call of the API, looked at before anything is done for it: what it takes as its answer, mostly JSON, and no parameter comes twice.</summary>
public sealed class RequestRules(RequestDelegate next, CurrentRequest current)
{
    private static readonly string[] Json = ["application/json"];

    public Task InvokeAsync(HttpContext context)
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata is not null && IsApi(metadata) && metadata.GetMetadata<ForwardAuthAttribute>() is null)
        {
            DemandAccepted(context.Request, metadata.GetMetadata<AnswersAttribute>()?.Types ?? Json);
            DemandSingleParameters(context.Request);
        }

        // What sends messages and may log for its caller has a controller.
        if (metadata?.GetMetadata<ControllerActionDescriptor>() is not null)
            current.Enter(context);

        return next(context);
    }

    /// <summary>Is it a call of the API, and not of its page or document?</summary>
    public static bool IsApi(EndpointMetadataCollection metadata) =>
        metadata.GetMetadata<ApiCallAttribute>() is not null || metadata.GetMetadata<ControllerActionDescriptor>() is not null;

    private static void DemandAccepted(HttpRequest request, string[] types)
    {
        if (request.Headers.Accept.Count == 0 || request.Headers.Accept is ["*/*"] or ["application/json"])
            return;
        if (MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted) && !types.Any(type => Rank(accepted, type).Quality > 0))
            throw new ProblemException(ProblemKind.NotAcceptable);
    }

    /// <summary>How much a type is wanted, and whether it was named: the most specific range decides (RFC 9110, section 12.5.1).</summary>
    internal static (double Quality, bool IsNamed) Rank(IEnumerable<MediaTypeHeaderValue> accepted, string type)
    {
        var range = accepted.Where(candidate => Matches(candidate, type)).MinBy(candidate => (candidate.MatchesAllTypes, candidate.MatchesAllSubTypes));
        return range is null ? default : (range.Quality ?? 1, !range.MatchesAllSubTypes);
    }

    private static bool Matches(MediaTypeHeaderValue range, string type) =>
        range.MatchesAllTypes
        || (range.MatchesAllSubTypes
            ? type.StartsWith($"{range.Type}/", StringComparison.OrdinalIgnoreCase)
            : range.MediaType.Equals(type, StringComparison.OrdinalIgnoreCase));

    private static void DemandSingleParameters(HttpRequest request)
    {
        if (!request.QueryString.HasValue)
            return;

        foreach (var (name, values) in request.Query)
        {
            if (values.Count > 1)
            {
                throw new ProblemException(new Problem(
                    ProblemKind.InvalidParameter, "A parameter is given more than once.",
                    new Dictionary<string, string[]> { [name] = ["is given more than once"] }));
            }
        }
    }
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
