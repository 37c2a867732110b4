using System.Text.Json.Serialization;
using FluentValidation;
using MediatR;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Keys;

/// <summary>Makes a new key.</summary>
public sealed record CreateKey : IRequest<IdempotentResult<CreatedKey>>, IIdempotentRequest
{
    /// <summary>What people call it: 1 to 100 characters.</summary>
    /// <example>ci-pipeline</example>
    public string? Name { get; init; }

    /// <summary>viewer, operator or admin.</summary>
    /// <example>operator</example>
    public string? Role { get; init; }

    /// <summary>Days until it expires, 1 to 3650; the default is 90.</summary>
    /// <example>90</example>
    public int? ExpiryDays { get; init; }

    /// <summary>True for a key without an end; excludes <c>expiry_days</c>.</summary>
    public bool? NeverExpires { get; init; }

    /// <summary>Whose key it is; a viewer sees the keys of its own owner. 1 to 100 characters.</summary>
    /// <example>team-payments</example>
    public string? Owner { get; init; }

    /// <summary>Permissions of your own services, <c>resource:action</c> or <c>resource:*</c>, at most 100.</summary>
    /// <example>["documents:read"]</example>
    public IReadOnlyList<string>? Permissions { get; init; }

    /// <summary>At most 20 pairs of text; never a place for secrets.</summary>
    /// <example>{"environment":"production"}</example>
    public IReadOnlyDictionary<string, string?>? Metadata { get; init; }

    /// <summary>Calls a minute, 1 to 10 000 000; null for the role's default.</summary>
    public int? RateLimitPerMinute { get; init; }

    /// <summary>IPv4 and IPv6 addresses or CIDR blocks it may be used from, at most 50; empty for anywhere.</summary>
    /// <example>["10.0.0.0/8"]</example>
    public IReadOnlyList<string>? AllowedIps { get; init; }

    [JsonIgnore]
    public IdempotentRequest? IdempotentRequest { get; init; }
}

/// <summary>The new key. Its token is shown here and never again.</summary>
/// <param name="ApiKey">The token; null in a repeated answer.</param>
public sealed record CreatedKey(
    string? ApiKey, string KeyId, string Name, string Role, DateTimeOffset? ExpiresAt, DateTimeOffset CreatedAt, string Message)
    : IShowsTokenOnce<CreatedKey>
{
    public CreatedKey WithoutToken() => this with { ApiKey = null };
}

public sealed class CreateKeyValidator : AbstractValidator<CreateKey>
{
    public CreateKeyValidator()
    {
        RuleFor(key => key.Name).IsLabel();
        RuleFor(key => key.Role).IsRole();
        RuleFor(key => key.ExpiryDays).IsLifetime();
        RuleFor(key => key.NeverExpires)
            .Must((key, never) => never != true || key.ExpiryDays is null)
            .WithMessage("excludes expiry_days");
        RuleFor(key => key.Owner).IsLabel().When(key => key.Owner is not null);
        RuleFor(key => key.Permissions).ArePermissions();
        RuleFor(key => key.Metadata).IsMetadata();
        RuleFor(key => key.RateLimitPerMinute).IsRateLimit();
        RuleFor(key => key.AllowedIps).AreIpRanges();
    }
}

public sealed class CreateKeyHandler(ILedger ledger, PepperRing peppers, KeyDefaults defaults, AuditScope scope)
    : IRequestHandler<CreateKey, IdempotentResult<CreatedKey>>
{
    public Task<IdempotentResult<CreatedKey>> Handle(CreateKey request, CancellationToken cancellationToken) =>
        ledger.ChangeAsync(change => change.OnceAsync(request.IdempotentRequest, () => Task.FromResult(Create(change, request))), cancellationToken);

    private IdempotentResult<CreatedKey> Create(ILedgerChange change, CreateKey request)
    {
        var token = Token.Generate(KeyId.Generate());
        var key = ApiKey.Create(token.KeyId, peppers.Seal(token), TermsOf(request), scope.Actor.Author, change.Now);
        change.Add(key);
        var issued = new CreatedKey(
            token.Reveal(), key.Id.Value, key.Name, key.Role.Name(), key.Current.ExpiresAt, key.CreatedAt,
            "Store this API key now: it is shown only once.");
        return new IdempotentResult<CreatedKey>(issued, key.Version);
    }

    private KeyTerms TermsOf(CreateKey request) => new()
    {
        Name = KeyInput.Normalize(request.Name)!,
        Role = Roles.TryParse(request.Role, out var role) ? role : throw new FormatException("Validated before."),
        LifetimeDays = request.NeverExpires == true ? null : request.ExpiryDays ?? defaults.ExpiryDays,
        Owner = KeyInput.Normalize(request.Owner),
        Permissions = request.Permissions ?? [],
        Metadata = KeyInput.Pairs(request.Metadata),
        RateLimitPerMinute = request.RateLimitPerMinute,
        AllowedIps = KeyInput.Ranges(request.AllowedIps),
    };
}
