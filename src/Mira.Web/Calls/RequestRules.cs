using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc.Controllers;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.Net.Http.Headers;
using Mira.Web.Authentication;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Calls;

/// <summary>
/// What holds for every call of the API, looked at before anything is done for it: what it takes as its answer, mostly
/// JSON, and no parameter comes twice or is one that the call does not know. A filter that is misspelt would otherwise
/// be none.
/// </summary>
public sealed class RequestRules(RequestDelegate next, CurrentRequest current)
{
    private const int LongestName = 64;

    private static readonly string[] Json = ["application/json"];

    // Found once for each endpoint, and forgotten with it.
    private readonly ConditionalWeakTable<Endpoint, string[]> _parameters = [];

    public Task InvokeAsync(HttpContext context)
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata is not null && IsApi(metadata) && metadata.GetMetadata<ForwardAuthAttribute>() is null)
        {
            DemandAccepted(context.Request, metadata.GetMetadata<AnswersAttribute>()?.Types ?? Json);
            DemandKnownParameters(context, context.GetEndpoint()!);
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

    /// <summary>
    /// How much a type is wanted, and whether it was named: the most specific range decides (RFC 9110, section 12.5.1).
    /// </summary>
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

    private void DemandKnownParameters(HttpContext context, Endpoint endpoint)
    {
        if (!context.Request.QueryString.HasValue)
            return;

        var known = _parameters.GetValue(endpoint, static endpoint => ParametersOf(endpoint.Metadata));
        foreach (var (name, values) in context.Request.Query)
        {
            if (values.Count > 1)
                throw Refusal(name, "is given more than once");
            if (!known.Contains(name, StringComparer.Ordinal))
                throw Refusal(name, known.Length == 0 ? "is unknown: this call has no parameters" : $"is unknown: this call has {string.Join(", ", known)}");
        }
    }

    // By their exact names, although the platform would also bind those in another case.
    private static string[] ParametersOf(EndpointMetadataCollection metadata) =>
    [
        .. metadata.GetMetadata<ControllerActionDescriptor>()?.Parameters
            .Where(parameter => parameter.BindingInfo?.BindingSource == BindingSource.Query)
            .Select(parameter => parameter.BindingInfo!.BinderModelName ?? parameter.Name) ?? [],
        // Where everybody is answered, credentials are not looked at, wherever they stand.
        .. metadata.GetMetadata<IAllowAnonymous>() is null ? [] : Credential.QueryNames,
    ];

    private static ProblemException Refusal(string name, string message) => new(new Problem(
        ProblemKind.InvalidParameter, $"A parameter {message}.",
        // A long name is none that somebody misspelt, and may hold anything.
        new Dictionary<string, string[]> { [name.Length <= LongestName ? TokenMask.Apply(name) : "?"] = [message] }));
}
