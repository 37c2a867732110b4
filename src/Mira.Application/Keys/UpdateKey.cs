using System.Text.Json.Serialization;
using AutoMapper;
using FluentValidation;
using MediatR;
using Mira.Application.Ledger;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>Changes a key's terms: what is absent stays, what is null is cleared.</summary>
public sealed record UpdateKey : IRequest<KeyView>
{
    /// <summary>What people call it: 1 to 100 characters.</summary>
    public Optional<string?> Name { get; init; }

    /// <summary>Whose key it is: 1 to 100 characters, or null for nobody's.</summary>
    public Optional<string?> Owner { get; init; }

    /// <summary>viewer, operator or admin.</summary>
    public Optional<string?> Role { get; init; }

    /// <summary>Permissions of your own services, all of them; null for none.</summary>
    public Optional<IReadOnlyList<string>?> Permissions { get; init; }

    /// <summary>
    /// All pairs of text; null for none. As <c>application/merge-patch+json</c> it is merged: a pair whose value is
    /// null goes.
    /// </summary>
    public Optional<IReadOnlyDictionary<string, string?>?> Metadata { get; init; }

    /// <summary>Calls a minute, 1 to 10 000 000; null for the role's default.</summary>
    public Optional<int?> RateLimitPerMinute { get; init; }

    /// <summary>IPv4 and IPv6 addresses or CIDR blocks, all of them; null for anywhere.</summary>
    public Optional<IReadOnlyList<string>?> AllowedIps { get; init; }

    /// <summary>True switches the key off until it is switched on again.</summary>
    public Optional<bool?> Disabled { get; init; }

    [JsonIgnore]
    public string KeyId { get; init; } = "";

    [JsonIgnore]
    public VersionCondition IfMatch { get; init; } = VersionCondition.Any;

    /// <summary>RFC 7396: metadata is merged into what is there instead of taking its place.</summary>
    [JsonIgnore]
    public bool MergesMetadata { get; init; }
}

public sealed class UpdateKeyValidator : AbstractValidator<UpdateKey>
{
    public UpdateKeyValidator()
    {
        RuleFor(update => update.Name.Value).IsLabel().When(update => update.Name.IsSet).OverridePropertyName(nameof(UpdateKey.Name));
        RuleFor(update => update.Owner.Value).IsLabel().When(update => update.Owner.Value is not null).OverridePropertyName(nameof(UpdateKey.Owner));
        RuleFor(update => update.Role.Value).IsRole().When(update => update.Role.IsSet).OverridePropertyName(nameof(UpdateKey.Role));
        RuleFor(update => update.Permissions.Value).ArePermissions().OverridePropertyName(nameof(UpdateKey.Permissions));
        RuleFor(update => update.Metadata.Value).IsMetadata().When(update => !update.MergesMetadata).OverridePropertyName(nameof(UpdateKey.Metadata));
        RuleFor(update => update.RateLimitPerMinute.Value).IsRateLimit().OverridePropertyName(nameof(UpdateKey.RateLimitPerMinute));
        RuleFor(update => update.AllowedIps.Value).AreIpRanges().OverridePropertyName(nameof(UpdateKey.AllowedIps));
        RuleFor(update => update.Disabled.Value)
            .NotNull().WithMessage("must be true or false")
            .When(update => update.Disabled.IsSet).OverridePropertyName(nameof(UpdateKey.Disabled));
    }
}

public sealed class UpdateKeyHandler(ILedger ledger, IMapper mapper) : IRequestHandler<UpdateKey, KeyView>
{
    public Task<KeyView> Handle(UpdateKey request, CancellationToken cancellationToken) => ledger.ChangeAsync(
        async change =>
        {
            var key = await change.GetKeyAsync(request.KeyId);
            request.IfMatch.Demand(key.Version);
            key.Update(UpdateOf(request, key), await change.CountActiveAdminsAsync(key.Id), change.Now);
            return mapper.ViewOf(key, change.Now);
        },
        cancellationToken);

    private static KeyUpdate UpdateOf(UpdateKey request, ApiKey key) => new()
    {
        Name = Map(request.Name, name => KeyInput.Normalize(name)!),
        Owner = Map(request.Owner, owner => KeyInput.Normalize(owner)),
        Role = Map(request.Role, name => Roles.TryParse(name, out var role) ? role : throw new FormatException("Validated before.")),
        Permissions = Map(request.Permissions, permissions => permissions ?? []),
        Metadata = Map(request.Metadata, pairs => request.MergesMetadata && pairs is not null ? Merge(key.Metadata, pairs) : KeyInput.Pairs(pairs)),
        RateLimitPerMinute = request.RateLimitPerMinute,
        AllowedIps = Map(request.AllowedIps, KeyInput.Ranges),
        Disabled = Map(request.Disabled, disabled => disabled!.Value),
    };

    /// <exception cref="ValidationException">The merged metadata is not well formed, or too much.</exception>
    private static Dictionary<string, string> Merge(IReadOnlyDictionary<string, string> current, IReadOnlyDictionary<string, string?> patch)
    {
        var merged = current.ToDictionary(pair => pair.Key, pair => (string?)pair.Value);
        foreach (var (name, value) in patch)
            merged[name] = value;
        foreach (var (name, _) in patch.Where(pair => pair.Value is null))
            merged.Remove(name);

        new InlineValidator<UpdateKey> { rules => rules.RuleFor(update => update.Metadata.Value).IsMetadata().OverridePropertyName(nameof(UpdateKey.Metadata)) }
            .ValidateAndThrow(new UpdateKey { Metadata = merged });
        return merged.ToDictionary(pair => pair.Key, pair => pair.Value!);
    }

    private static Optional<TTo> Map<TFrom, TTo>(Optional<TFrom> value, Func<TFrom, TTo> map) => value.IsSet ? map(value.Value) : default(Optional<TTo>);
}
