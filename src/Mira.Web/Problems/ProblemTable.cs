using System.Text.Json;
using FluentValidation;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;

namespace Mira.Web.Problems;

/// <summary>Which exception is answered how. There is no other place that decides this.</summary>
public static class ProblemTable
{
    private const int RetrySoon = 1;
    private const string Undecided = "The store went away meanwhile, so it is not known whether it happened. A repeat with the same Idempotency-Key happens once.";

    public static Problem? Find(Exception exception) => exception switch
    {
        ProblemException known => known.Problem,
        ValidationException invalid => Of(invalid),
        UnknownKeyException => new Problem(ProblemKind.KeyNotFound, exception.Message),
        KeyNotAuthenticException => new Problem(ProblemKind.KeyNotActive, exception.Message),
        KeyNotActiveException => new Problem(ProblemKind.KeyNotActive, exception.Message),
        TooManyLiveSecretsException => new Problem(ProblemKind.TooManyLiveSecrets, exception.Message),
        LastAdminException => new Problem(ProblemKind.LastAdmin, exception.Message),
        UnreadableConditionException => new Problem(ProblemKind.InvalidParameter, exception.Message),
        VersionMismatchException => new Problem(ProblemKind.VersionMismatch, exception.Message),
        IdempotencyMismatchException => new Problem(ProblemKind.IdempotencyMismatch, exception.Message),
        IdempotencyInProgressException => new Problem(ProblemKind.IdempotencyInProgress, exception.Message),
        StoreUnavailableException away => new Problem(
            ProblemKind.StoreUnavailable, RetryAfter: away.RetryAfter is { } wait ? Math.Max(RetrySoon, (int)Math.Ceiling(wait.TotalSeconds)) : RetrySoon),
        LedgerUnavailableException { IsUndecided: true } => new Problem(ProblemKind.AuditUnavailable, Undecided, RetryAfter: RetrySoon),
        LedgerUnavailableException => new Problem(ProblemKind.AuditUnavailable, "It did not happen.", RetryAfter: RetrySoon),
        LimitsUnavailableException => new Problem(ProblemKind.LimitsUnavailable, RetryAfter: RetrySoon),
        OverloadedException => new Problem(ProblemKind.Overloaded, exception.Message, RetryAfter: RetrySoon),
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => ProblemKind.PayloadTooLarge,
        BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => ProblemKind.RequestTimeout,
        BadHttpRequestException => ProblemKind.MalformedRequest,
        _ => null,
    };

    /// <summary>What an answer without a body that only bears a status means.</summary>
    public static ProblemKind? Find(int status) => status switch
    {
        StatusCodes.Status404NotFound => ProblemKind.NotFound,
        StatusCodes.Status405MethodNotAllowed => ProblemKind.MethodNotAllowed,
        StatusCodes.Status406NotAcceptable => ProblemKind.NotAcceptable,
        StatusCodes.Status415UnsupportedMediaType => ProblemKind.UnsupportedMediaType,
        StatusCodes.Status400BadRequest => ProblemKind.MalformedRequest,
        _ => null,
    };

    private static Problem Of(ValidationException invalid)
    {
        var errors = invalid.Errors
            .GroupBy(failure => JsonNamingPolicy.SnakeCaseLower.ConvertName(failure.PropertyName))
            .ToDictionary(group => group.Key, group => group.Select(failure => failure.ErrorMessage).Distinct().ToArray());
        var inParameter = invalid.Errors.All(failure => failure.ErrorCode == KeyInput.InvalidParameter);
        var detail = string.Join("; ", errors.Select(error => $"{error.Key} {error.Value[0]}"));
        return new Problem(inParameter ? ProblemKind.InvalidParameter : ProblemKind.ValidationFailed, detail, errors);
    }
}
