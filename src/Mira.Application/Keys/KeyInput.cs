using FluentValidation;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>The shapes of a key's fields, said once for every message that takes them.</summary>
public static class KeyInput
{
    /// <summary>Marks a failure in a query parameter, which is another error than one in a body.</summary>
    public const string InvalidParameter = "invalid_parameter";

    public const int MaximumSearchLength = 200;

    public static IRuleBuilderOptions<T, string?> IsLabel<T>(this IRuleBuilder<T, string?> rule, int maximumLength = Label.MaximumLength) =>
        rule.Must(text => Label.TryNormalize(text, maximumLength, out _))
            .WithMessage($"must be 1 to {maximumLength} characters, at least one of them visible, without control, text-direction or non-characters");

    public static IRuleBuilderOptions<T, string?> IsRole<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(name => Roles.TryParse(name, out _)).WithMessage($"must be {Roles.Sentence}");

    public static IRuleBuilderOptions<T, int?> IsLifetime<T>(this IRuleBuilder<T, int?> rule) =>
        rule.InclusiveBetween(1, KeyTerms.MaximumLifetimeDays)
            .WithMessage($"must be a whole number from 1 to {KeyTerms.MaximumLifetimeDays}");

    public static IRuleBuilderOptions<T, int?> IsRateLimit<T>(this IRuleBuilder<T, int?> rule) =>
        rule.InclusiveBetween(1, KeyTerms.MaximumRateLimit)
            .WithMessage($"must be a whole number from 1 to {KeyTerms.MaximumRateLimit}");

    public static IRuleBuilderOptions<T, IReadOnlyList<string>?> ArePermissions<T>(this IRuleBuilder<T, IReadOnlyList<string>?> rule) =>
        rule.Must(permissions => permissions is null || permissions.Count <= Permission.MaximumPerKey)
            .WithMessage($"must be at most {Permission.MaximumPerKey} permissions")
            .Must(permissions => permissions is null || permissions.All(permission => permission is not null && Permission.IsGrantable(permission)))
            .WithMessage("each must be resource:action in lower case, the action may be *; keys, webhooks, audit and stats come with the role alone");

    public static IRuleBuilderOptions<T, IReadOnlyDictionary<string, string?>?> IsMetadata<T>(
        this IRuleBuilder<T, IReadOnlyDictionary<string, string?>?> rule) =>
        rule.Must(pairs => pairs is null || pairs.Count <= Metadata.MaximumEntries)
            .WithMessage($"must be at most {Metadata.MaximumEntries} entries")
            .Must(pairs => pairs is null || pairs.All(pair => Metadata.IsKey(pair.Key) && Metadata.IsValue(pair.Value)))
            .WithMessage($"keys must be 1 to {Metadata.MaximumKeyLength} characters, values text of at most {Metadata.MaximumValueLength}, none with control characters");

    public static IRuleBuilderOptions<T, IReadOnlyList<string>?> AreIpRanges<T>(this IRuleBuilder<T, IReadOnlyList<string>?> rule) =>
        rule.Must(ranges => ranges is null || ranges.Count <= IpRange.MaximumPerKey)
            .WithMessage($"must be at most {IpRange.MaximumPerKey} addresses")
            .Must(ranges => ranges is null || ranges.All(text => IpRange.TryParse(text, out _)))
            .WithMessage("each must be an IPv4 or IPv6 address or CIDR block");

    public static string? Normalize(string? label, int maximumLength = Label.MaximumLength) =>
        Label.TryNormalize(label, maximumLength, out var normalized) ? normalized : null;

    public static IReadOnlyDictionary<string, string> Pairs(IReadOnlyDictionary<string, string?>? pairs) =>
        pairs?.ToDictionary(pair => pair.Key, pair => pair.Value!) ?? Metadata.Empty;

    public static IReadOnlyList<IpRange> Ranges(IReadOnlyList<string>? texts) =>
        [.. (texts ?? []).Select(text => IpRange.TryParse(text, out var range) ? range : throw new FormatException("Validated before."))];
}
