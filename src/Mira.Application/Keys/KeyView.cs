using AutoMapper;
using Mira.Domain.Keys;

namespace Mira.Application.Keys;

/// <summary>What may be seen of a key: all of it but its secrets.</summary>
public sealed record KeyView
{
    /// <example>mira_key_4fZq0TbLw9Xe</example>
    public required string KeyId { get; init; }

    public required string Name { get; init; }

    /// <summary>viewer, operator or admin.</summary>
    public required string Role { get; init; }

    /// <summary>
    /// revoked, expired, disabled, rotating (a superseded secret still works) or active; the first that holds.
    /// </summary>
    public required string Status { get; init; }

    public required string? Owner { get; init; }

    /// <summary>The role's permissions and the free ones together, sorted.</summary>
    public required IReadOnlyList<string> Permissions { get; init; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>Calls a minute; null when the role's default holds.</summary>
    public required int? RateLimitPerMinute { get; init; }

    public required IReadOnlyList<string> AllowedIps { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The id of the key that made it, or <c>system</c>.</summary>
    public required string CreatedBy { get; init; }

    /// <summary>When the current secret ends; null for never.</summary>
    public required DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Written in batches, a few seconds after the use.</summary>
    public required DateTimeOffset? LastUsedAt { get; init; }

    public required DateTimeOffset? RotatedAt { get; init; }

    public required DateTimeOffset? RevokedAt { get; init; }

    public required string? RevokedBy { get; init; }

    public required string? RevokedReason { get; init; }

    /// <summary>Counts every change of the key; its ETag.</summary>
    public required int Version { get; init; }

    /// <summary>The secrets that work, and the last ended ones whose holder is still told why; oldest first.</summary>
    public required IReadOnlyList<SecretView> Secrets { get; init; }
}

/// <summary>What may be seen of a secret: when, never what.</summary>
public sealed record SecretView
{
    /// <summary>1, 2, …</summary>
    public required int Version { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Until when a superseded secret works; null for the current one.</summary>
    public required DateTimeOffset? ValidUntil { get; init; }

    public required DateTimeOffset? LastUsedAt { get; init; }
}

internal sealed class KeyViewProfile : Profile
{
    public KeyViewProfile()
    {
        CreateMap<Secret, SecretView>();
        CreateMap<ApiKey, KeyView>()
            .ForMember(view => view.KeyId, map => map.MapFrom(key => key.Id.Value))
            .ForMember(view => view.Role, map => map.MapFrom(key => key.Role.Name()))
            .ForMember(view => view.Status, map => map.MapFrom((key, _, _, context) => key.StatusAt(KeyViews.Now(context)).Name()))
            .ForMember(view => view.AllowedIps, map => map.MapFrom(key => key.AllowedIps.Select(range => range.ToString())))
            .ForMember(view => view.ExpiresAt, map => map.MapFrom(key => key.Current.ExpiresAt))
            .ForMember(
                view => view.Secrets,
                map => map.MapFrom((key, _, _, context) => key.Secrets.Where(secret => key.IsRemembered(secret, KeyViews.Now(context)))));
    }
}

internal static class KeyViews
{
    private const string NowItem = "now";

    public static KeyView ViewOf(this IMapper mapper, ApiKey key, DateTimeOffset now) =>
        mapper.Map<KeyView>(key, options => options.Items[NowItem] = now);

    public static DateTimeOffset Now(ResolutionContext context) => (DateTimeOffset)context.Items[NowItem];
}
