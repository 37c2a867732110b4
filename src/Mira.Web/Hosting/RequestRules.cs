using Microsoft.AspNetCore.Mvc.Controllers;
using Microsoft.Net.Http.Headers;
using Mira.Web.Authentication;
using Mira.Web.Problems;

namespace Mira.Web.Hosting;

/// <summary>What holds for every call of the API, looked at before anything is done for it: it takes JSON as its answer, and no parameter comes twice.</summary>
public sealed class RequestRules(RequestDelegate next, CurrentRequest current)
{
    public Task InvokeAsync(HttpContext context)
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata is not null && IsApi(metadata) && metadata.GetMetadata<ForwardAuthAttribute>() is null)
        {
            DemandJsonAccepted(context.Request);
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

    private static void DemandJsonAccepted(HttpRequest request)
    {
        if (request.Headers.Accept.Count == 0 || request.Headers.Accept is ["*/*"] or ["application/json"])
            return;

        // The most specific range decides (RFC 9110, section 12.5.1).
        if (MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted)
            && accepted.Where(MatchesJson).MinBy(type => (type.MatchesAllTypes, type.MatchesAllSubTypes)) is null or { Quality: 0 })
        {
            throw new ProblemException(ProblemKind.NotAcceptable);
        }
    }

    private static bool MatchesJson(MediaTypeHeaderValue type) =>
        type.MatchesAllTypes
        || (type.Type.Equals("application", StringComparison.OrdinalIgnoreCase)
            && (type.MatchesAllSubTypes || type.SubType.Equals("json", StringComparison.OrdinalIgnoreCase)));

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
