using System.Net;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Web.Problems;
using Mira.Web.Requests;

namespace Mira.Web.Authentication;

/// <summary>
/// Maps an API key to a principal with its role and permissions as claims. No credential is no result, a bad one is a
/// failure, and neither is answered here: that is the challenge, once something needs a caller. No message holds a
/// token, because the base class logs them.
/// </summary>
public sealed class ApiKeyAuthenticationHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, Verifier verifier, FailureLimiter failures,
    CallEvents events, ServiceMetrics metrics)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "ApiKey";
    public const string SupersededHeader = "Mira-Key-Superseded";

    // Nothing is ever put into them, and a ticket without would make its own each time.
    private static readonly AuthenticationProperties NoProperties = new();

    private Problem? _refusal;

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var metadata = Context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<IAllowAnonymous>() is null)
            return AuthenticateKeyAsync();

        return metadata.GetMetadata<ReadsCredentialsAttribute>() is null ? Task.FromResult(AuthenticateResult.NoResult()) : AuthenticateVisitorAsync();
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var refusal = _refusal ?? ProblemKind.MissingCredentials;
        metrics.CountRefusal(refusal.Kind.Code);
        if (refusal.Kind.Status == StatusCodes.Status401Unauthorized)
            Response.Headers.WWWAuthenticate = refusal.Kind == ProblemKind.MissingCredentials ? Challenges.Missing : Challenges.InvalidToken;
        return ProblemAnswer.WriteAsync(Context, refusal);
    }

    /// <summary>The caller's address; behind a trusted proxy, the one it forwards for.</summary>
    internal static IPAddress? AddressOf(HttpContext context) =>
        context.Connection.RemoteIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : context.Connection.RemoteIpAddress;

    private async Task<AuthenticateResult> AuthenticateKeyAsync()
    {
        var credential = Credential.Of(Context);
        if (credential.Refusal is { } refusal)
        {
            events.Failed(Context, refusal);
            return Refuse(refusal);
        }

        if (credential.Token is null)
            return AuthenticateResult.NoResult();

        var verification = await verifier.VerifyAsync(credential.Token, AddressOf(Context));
        return verification.Verdict.IsValid ? Accept(verification) : RefuseKey(verification);
    }

    // A public endpoint is always answered, so the bound of what keys cost there is here: who finds no place among the
    // calls that are served stays unknown. A bad key stays so too, and is counted, limited and recorded as anywhere.
    private async Task<AuthenticateResult> AuthenticateVisitorAsync()
    {
        var calls = Context.RequestServices.GetRequiredService<RunningCalls>();
        if (!calls.TryEnter())
            return AuthenticateResult.NoResult();

        try
        {
            var result = await AuthenticateKeyAsync();
            if (_refusal is { } refusal)
                metrics.CountRefusal(refusal.Kind.Code);
            return result;
        }
        catch (Exception exception) when (exception is StoreUnavailableException or OverloadedException)
        {
            return AuthenticateResult.NoResult();
        }
        finally
        {
            calls.Leave();
        }
    }

    private AuthenticateResult Accept(Verification verification)
    {
        var use = verification.Use!;
        use.Principal ??= new ApiKeyPrincipal(verification.Entry!, use.Secret);
        if (use.Secret.IsSuperseded)
            Response.Headers[SupersededHeader] = Rfc3339.Format(use.Secret.Deadline!.Value);
        return AuthenticateResult.Success(new AuthenticationTicket(use.Principal, NoProperties, SchemeName));
    }

    private AuthenticateResult RefuseKey(Verification verification)
    {
        var code = verification.Verdict.Code;
        if (code == VerdictCode.InvalidKey && failures.Note(AddressOf(Context)) is > 0 and var wait)
        {
            events.Limited(Context);
            return Refuse(new Problem(ProblemKind.TooManyFailures, RetryAfter: wait));
        }

        var kind = KindOf(code);
        if (code == VerdictCode.IpNotAllowed)
            events.Denied(Context, verification.Key!, kind);
        else
            events.Failed(Context, kind, verification.Key?.Id);
        return Refuse(kind);
    }

    private AuthenticateResult Refuse(Problem refusal)
    {
        _refusal = refusal;
        return AuthenticateResult.Fail(refusal.Kind.Code);
    }

    private static ProblemKind KindOf(VerdictCode code) => code switch
    {
        VerdictCode.KeyRevoked => ProblemKind.KeyRevoked,
        VerdictCode.KeyRotatedOut => ProblemKind.KeyRotatedOut,
        VerdictCode.KeyExpired => ProblemKind.KeyExpired,
        VerdictCode.KeyDisabled => ProblemKind.KeyDisabled,
        VerdictCode.IpNotAllowed => ProblemKind.IpNotAllowed,
        VerdictCode.InvalidKey => ProblemKind.InvalidKey,
        // This decides who the caller is. Authorization decides later what the caller may do.
        VerdictCode.Valid or VerdictCode.InsufficientPermission or VerdictCode.RateLimited => throw new ArgumentOutOfRangeException(nameof(code), code, null),
    };
}
