using Microsoft.OpenApi;
using Mira.Domain.Keys;
using Mira.Web.Authorization;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.OpenApi;

/// <summary>Which problems an operation can answer with. Tests hold every answer of the service to it.</summary>
internal static class OperationProblems
{
    private static readonly ProblemKind[] All =
        [.. typeof(ProblemKind).GetFields().Select(field => field.GetValue(null)).OfType<ProblemKind>()];

    /// <summary>What anybody can be told of any call.</summary>
    private static readonly ProblemKind[] OfAnyCall =
        [ProblemKind.InvalidParameter, ProblemKind.MalformedRequest, ProblemKind.NotAcceptable, ProblemKind.InternalError];

    private static readonly ProblemKind[] OfBodies =
    [
        ProblemKind.MalformedJson, ProblemKind.UnknownProperty, ProblemKind.DuplicateProperty, ProblemKind.ValidationFailed, ProblemKind.RequestTimeout,
        ProblemKind.PayloadTooLarge, ProblemKind.UnsupportedMediaType,
    ];

    private static readonly ProblemKind[] OfRepeats =
        [ProblemKind.InvalidIdempotencyKey, ProblemKind.IdempotencyInProgress, ProblemKind.IdempotencyMismatch];

    /// <summary>What only one operation or another answers with.</summary>
    private static readonly Dictionary<string, ProblemKind[]> Own = new()
    {
        ["CreateKey"] = [.. OfRepeats, ProblemKind.AuditUnavailable],
        ["GetKey"] = [ProblemKind.KeyNotFound],
        ["UpdateKey"] = [ProblemKind.KeyNotFound, ProblemKind.KeyNotActive, ProblemKind.LastAdmin, ProblemKind.VersionMismatch, ProblemKind.AuditUnavailable],
        ["RotateKey"] =
        [
            .. OfRepeats, ProblemKind.KeyNotFound, ProblemKind.KeyNotActive, ProblemKind.TooManyLiveSecrets, ProblemKind.VersionMismatch, ProblemKind.AuditUnavailable,
        ],
        ["RevokeKey"] = [ProblemKind.ValidationFailed, ProblemKind.KeyNotFound, ProblemKind.LastAdmin, ProblemKind.VersionMismatch, ProblemKind.AuditUnavailable],
        ["ExportAuditEvents"] = [ProblemKind.AuditUnavailable],
    };

    /// <param name="policy">Null for a public operation.</param>
    /// <returns>In the order of the table of problems.</returns>
    public static IEnumerable<ProblemKind> Of(OpenApiOperation operation, string? policy, IList<object> metadata)
    {
        HashSet<ProblemKind> problems = [.. OfAnyCall];
        if (policy is not null)
            problems.UnionWith(OfCaller(policy, metadata.OfType<ChargesAnotherAttribute>().Any()));
        if (operation.RequestBody is not null)
            problems.UnionWith(OfBodies);
        problems.UnionWith(Own.GetValueOrDefault(operation.OperationId!, []));
        return All.Where(problems.Contains);
    }

    /// <summary>
    /// What a proxy is answered: it understands four statuses and nothing else, and what a caller got wrong is a
    /// refusal.
    /// </summary>
    public static IEnumerable<ProblemKind> OfForward() =>
        new[] { ProblemKind.AmbiguousCredentials, ProblemKind.CredentialsInQuery, ProblemKind.MalformedRequest, ProblemKind.InternalError }
            .Concat(OfCaller(Policies.AnyKey, false)).Append(ProblemKind.InsufficientPermission).Distinct()
            .Select(kind => kind with { Status = ForwardAuthAttribute.StatusOf(kind.Status) })
            .OrderBy(kind => kind.Status);

    private static IEnumerable<ProblemKind> OfCaller(string policy, bool chargesAnother)
    {
        IEnumerable<ProblemKind> refusals = [ProblemKind.AmbiguousCredentials, ProblemKind.CredentialsInQuery, ProblemKind.IpNotAllowed, ProblemKind.TooManyFailures];
        if (!chargesAnother)
            refusals = refusals.Append(ProblemKind.RateLimited);
        if (policy != Policies.AnyKey)
            refusals = refusals.Append(ProblemKind.InsufficientPermission);
        if (policy == Permission.KeysManage)
            refusals = refusals.Append(ProblemKind.SupersededSecret);
        // Whoever decides about a caller needs something to decide by; only changes are recorded first.
        return refusals.Concat(All.Where(kind => kind.Status == StatusCodes.Status401Unauthorized
            || (kind.Status == StatusCodes.Status503ServiceUnavailable && kind != ProblemKind.AuditUnavailable)));
    }
}
