namespace Mira.Web.Problems;

/// <summary>A kind of error as callers see it (RFC 9457): its code names it for good, its status is HTTP's.</summary>
public sealed record ProblemKind(int Status, string Code, string Title)
{
    public static readonly ProblemKind MalformedJson = new(400, "malformed_json", "The body is not the JSON this call takes.");
    public static readonly ProblemKind UnknownProperty = new(400, "unknown_property", "The body has a property this call does not know.");
    public static readonly ProblemKind DuplicateProperty = new(400, "duplicate_property", "The body has a property twice.");
    public static readonly ProblemKind ValidationFailed = new(400, "validation_failed", "A value is not one this call takes.");
    public static readonly ProblemKind InvalidParameter = new(400, "invalid_parameter", "A parameter is not one this call takes.");
    public static readonly ProblemKind AmbiguousCredentials = new(400, "ambiguous_credentials", "The request carries more than one credential.");
    public static readonly ProblemKind CredentialsInQuery = new(400, "credentials_in_query", "A credential must not be part of the address.");
    public static readonly ProblemKind MalformedRequest = new(400, "malformed_request", "The request is not well-formed HTTP.");
    public static readonly ProblemKind InvalidIdempotencyKey = new(400, "invalid_idempotency_key", "The Idempotency-Key is not usable.");
    public static readonly ProblemKind MissingCredentials = new(401, "missing_credentials", "An API key is needed.");
    public static readonly ProblemKind InvalidKey = new(401, "invalid_key", "The API key is not valid.");
    public static readonly ProblemKind KeyExpired = new(401, "key_expired", "The API key has expired.");
    public static readonly ProblemKind KeyRevoked = new(401, "key_revoked", "The API key has been revoked.");
    public static readonly ProblemKind KeyDisabled = new(401, "key_disabled", "The API key is disabled.");
    public static readonly ProblemKind KeyRotatedOut = new(401, "key_rotated_out", "The API key has been rotated and this secret has ended.");
    public static readonly ProblemKind IpNotAllowed = new(403, "ip_not_allowed", "The API key may not be used from this address.");
    public static readonly ProblemKind InsufficientPermission = new(403, "insufficient_permission", "The API key lacks a permission.");
    public static readonly ProblemKind SupersededSecret = new(403, "superseded_secret", "A superseded secret may not manage keys.");
    public static readonly ProblemKind NotFound = new(404, "not_found", "There is nothing at this address.");
    public static readonly ProblemKind KeyNotFound = new(404, "key_not_found", "There is no such key.");
    public static readonly ProblemKind MethodNotAllowed = new(405, "method_not_allowed", "This address does not take this method.");
    public static readonly ProblemKind NotAcceptable = new(406, "not_acceptable", "The request accepts none of the forms the answer can have.");
    public static readonly ProblemKind RequestTimeout = new(408, "request_timeout", "The request came too slowly.");
    public static readonly ProblemKind KeyNotActive = new(409, "key_not_active", "The key is not active.");
    public static readonly ProblemKind TooManyLiveSecrets = new(409, "too_many_live_secrets", "The key has too many secrets that work.");
    public static readonly ProblemKind LastAdmin = new(409, "last_admin", "The last active admin key must remain.");
    public static readonly ProblemKind IdempotencyInProgress = new(409, "idempotency_in_progress", "The first request has not ended yet.");
    public static readonly ProblemKind VersionMismatch = new(412, "version_mismatch", "The key has been changed since.");
    public static readonly ProblemKind PayloadTooLarge = new(413, "payload_too_large", "The body is too large.");
    public static readonly ProblemKind UnsupportedMediaType = new(415, "unsupported_media_type", "The body must be JSON in UTF-8.");
    public static readonly ProblemKind IdempotencyMismatch = new(422, "idempotency_mismatch", "The Idempotency-Key was used for another request.");
    public static readonly ProblemKind RateLimited = new(429, "rate_limited", "The API key has made too many calls in the last minute.");
    public static readonly ProblemKind TooManyFailures = new(429, "too_many_failures", "Too many invalid API keys came from this address.");
    public static readonly ProblemKind InternalError = new(500, "internal_error", "Something went wrong here.");
    public static readonly ProblemKind StoreUnavailable = new(503, "store_unavailable", "The key store cannot be reached.");
    public static readonly ProblemKind AuditUnavailable = new(503, "audit_unavailable", "The change could not be recorded.");
    public static readonly ProblemKind LimitsUnavailable = new(503, "limits_unavailable", "The shared rate limits do not answer.");
    public static readonly ProblemKind Overloaded = new(503, "overloaded", "There is too much to do right now.");
}

/// <summary>One error, ready to be answered.</summary>
/// <param name="Errors">Field → messages, on 400.</param>
/// <param name="RetryAfter">Seconds, on 429 and 503.</param>
public sealed record Problem(
    ProblemKind Kind, string? Detail = null, IReadOnlyDictionary<string, string[]>? Errors = null, int? RetryAfter = null)
{
    public static implicit operator Problem(ProblemKind kind) => new(kind);
}

/// <summary>Ends a request with a problem that no other exception stands for.</summary>
public sealed class ProblemException(Problem problem) : Exception(problem.Kind.Code)
{
    public Problem Problem { get; } = problem;
}
