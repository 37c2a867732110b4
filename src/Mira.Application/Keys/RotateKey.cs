using System.Text.Json.Serialization;
using FluentValidation;
using MediatR;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Keys;

/// <summary>Gives a key a new secret; the old one goes on working for a while.</summary>
public sealed record RotateKey : IRequest<IdempotentResult<RotatedKey>>, IIdempotentRequest
{
    /// <summary>
    /// Minutes for which the old secret still works, 0 to 43200, default 60. 0 ends every older secret at once: the
    /// answer to a leak.
    /// </summary>
    /// <example>60</example>
    public int? GraceMinutes { get; init; }

    /// <summary>
    /// Days until the new secret expires, 1 to 3650, and the key's lifetime from now on; null keeps the one it has.
    /// </summary>
    public int? ExpiryDays { get; init; }

    [JsonIgnore]
    public string KeyId { get; init; } = "";

    [JsonIgnore]
    public VersionCondition IfMatch { get; init; } = VersionCondition.Any;

    [JsonIgnore]
    public IdempotentRequest? IdempotentRequest { get; init; }
}

/// <summary>The new secret of a key. Its token is shown here and never again.</summary>
/// <param name="ApiKey">The token; null in a repeated answer.</param>
/// <param name="Version">The number of the new secret.</param>
/// <param name="PreviousValidUntil">Until when the old secret works.</param>
public sealed record RotatedKey(
    string? ApiKey, string KeyId, int Version, string Role, DateTimeOffset? ExpiresAt, DateTimeOffset PreviousValidUntil, string Message)
    : IShowsTokenOnce<RotatedKey>
{
    public RotatedKey WithoutToken() => this with { ApiKey = null };
}

public sealed class RotateKeyValidator : AbstractValidator<RotateKey>
{
    public RotateKeyValidator()
    {
        RuleFor(rotation => rotation.GraceMinutes)
            .InclusiveBetween(0, KeyTerms.MaximumGraceMinutes)
            .WithMessage($"must be a whole number from 0 to {KeyTerms.MaximumGraceMinutes}");
        RuleFor(rotation => rotation.ExpiryDays).IsLifetime();
    }
}

public sealed class RotateKeyHandler(ILedger ledger, PepperRing peppers, KeyDefaults defaults)
    : IRequestHandler<RotateKey, IdempotentResult<RotatedKey>>
{
    public Task<IdempotentResult<RotatedKey>> Handle(RotateKey request, CancellationToken cancellationToken) =>
        ledger.ChangeAsync(change => change.OnceAsync(request.IdempotentRequest, () => RotateAsync(change, request)), cancellationToken);

    private async Task<IdempotentResult<RotatedKey>> RotateAsync(ILedgerChange change, RotateKey request)
    {
        var key = await change.GetKeyAsync(request.KeyId);
        request.IfMatch.Demand(key.Version);

        var token = Token.Generate(key.Id);
        var previous = key.Current;
        var grace = TimeSpan.FromMinutes(request.GraceMinutes ?? defaults.GraceMinutes);
        key.Rotate(peppers.Seal(token), new Rotation(grace, request.ExpiryDays), change.Now);

        var rotated = new RotatedKey(
            token.Reveal(), key.Id.Value, key.Current.Version, key.Role.Name(), key.Current.ExpiresAt, previous.ValidUntil!.Value,
            "Store this API key now: it is shown only once. The previous one works until previous_valid_until.");
        return new IdempotentResult<RotatedKey>(rotated, key.Version);
    }
}
