using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// A key's status as a condition of a query. The rule itself is <see cref="ApiKey.StatusAt"/>; a test holds the two
/// together for every status.
/// </summary>
internal static class KeyQueries
{
    public static IQueryable<ApiKey> WhereStatus(this IQueryable<ApiKey> keys, KeyStatus status, DateTimeOffset now) => status switch
    {
        KeyStatus.Revoked => keys.Where(key => key.RevokedAt != null),
        KeyStatus.Expired => keys.Where(key => key.RevokedAt == null && EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) <= now),
        KeyStatus.Disabled => keys.WhereNotOver(now).Where(key => key.IsDisabled || key.IsQuarantined),
        KeyStatus.Rotating => keys.WhereActive(now).Where(key => EF.Property<DateTimeOffset?>(key, KeyColumns.RotationUntil) > now),
        KeyStatus.Active => keys.WhereActive(now).Where(key =>
            EF.Property<DateTimeOffset?>(key, KeyColumns.RotationUntil) == null || EF.Property<DateTimeOffset?>(key, KeyColumns.RotationUntil) <= now),
    };

    /// <summary>Active or rotating.</summary>
    public static IQueryable<ApiKey> WhereActive(this IQueryable<ApiKey> keys, DateTimeOffset now) =>
        keys.WhereNotOver(now).Where(key => !key.IsDisabled && !key.IsQuarantined);

    /// <summary>Can manage keys now; the rule itself is <see cref="ApiKey.IsActiveAdmin"/>.</summary>
    public static IQueryable<ApiKey> WhereActiveAdmin(this IQueryable<ApiKey> keys, DateTimeOffset now) => keys.WhereActive(now).Where(key =>
        key.Role == Role.Admin
        && (EF.Property<DateTimeOffset?>(key, KeyColumns.CurrentExpiresAt) == null || EF.Property<DateTimeOffset?>(key, KeyColumns.CurrentExpiresAt) > now));

    public static IQueryable<ApiKey> WhereVisibleTo(this IQueryable<ApiKey> keys, Viewpoint viewpoint) =>
        viewpoint.Role.SeesAllKeys() ? keys : keys.Where(key => key.Id == viewpoint.KeyId || (viewpoint.Owner != null && key.Owner == viewpoint.Owner));

    /// <summary>Neither revoked nor expired.</summary>
    public static IQueryable<ApiKey> WhereNotOver(this IQueryable<ApiKey> keys, DateTimeOffset now) => keys.Where(key =>
        key.RevokedAt == null
        && (EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) == null || EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) > now));
}
