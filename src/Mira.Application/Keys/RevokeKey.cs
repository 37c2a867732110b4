using FluentValidation;
using MediatR;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>Ends a key for good. Asked again, it gives the same answer.</summary>
public sealed record RevokeKey(string KeyId, string? Reason, VersionCondition IfMatch) : IRequest<RevokedKey>;

/// <param name="RevokedAt">When it was revoked first; asking again does not move it.</param>
public sealed record RevokedKey(string Message, string KeyId, DateTimeOffset RevokedAt);

public sealed class RevokeKeyValidator : AbstractValidator<RevokeKey>
{
    public RevokeKeyValidator() =>
        RuleFor(revocation => revocation.Reason)
            .IsLabel(Label.MaximumReasonLength)
            .When(revocation => revocation.Reason is not null);
}

public sealed class RevokeKeyHandler(ILedger ledger, AuditScope scope) : IRequestHandler<RevokeKey, RevokedKey>
{
    public Task<RevokedKey> Handle(RevokeKey request, CancellationToken cancellationToken) => ledger.ChangeAsync(
        async change =>
        {
            var key = await change.GetKeyAsync(request.KeyId);
            if (key.RevokedAt is null)
            {
                request.IfMatch.Demand(key.Version);
                var reason = KeyInput.Normalize(request.Reason, Label.MaximumReasonLength);
                key.Revoke(scope.Actor.Author, reason, await change.CountActiveAdminsAsync(key.Id), change.Now);
            }

            return new RevokedKey("The key is revoked.", key.Id.Value, key.RevokedAt!.Value);
        },
        cancellationToken);
}
