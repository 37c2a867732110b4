using Mira.Domain.Ledger;

namespace Mira.Domain.Keys;

/// <summary>Which named fields of a key an operation changed, as the ledger shows them.</summary>
internal static class KeyChanges
{
    public static IEnumerable<FieldChange> OfCreation(ApiKey key)
    {
        yield return FieldChange.Of("name", null, key.Name);
        yield return FieldChange.Of("role", null, key.Role.Name());
        yield return FieldChange.Of("expires_at", null, key.Current.ExpiresAt);
        if (key.Owner is not null)
            yield return FieldChange.Of("owner", null, key.Owner);
        if (key.FreePermissions.Count > 0)
            yield return FieldChange.Of("permissions", [], key.FreePermissions);
        if (key.Metadata.Count > 0)
            yield return FieldChange.Of("metadata", Metadata.Empty, key.Metadata);
        if (key.RateLimitPerMinute is not null)
            yield return FieldChange.Of("rate_limit_per_minute", null, key.RateLimitPerMinute);
        if (key.AllowedIps.Count > 0)
            yield return FieldChange.Of("allowed_ips", [], Texts(key.AllowedIps));
    }

    public static IEnumerable<FieldChange> OfRotation(Secret previous, Secret next)
    {
        yield return FieldChange.Of("secret_version", previous.Version, next.Version);
        yield return FieldChange.Of("expires_at", previous.ExpiresAt, next.ExpiresAt);
        yield return FieldChange.Of("previous_valid_until", null, previous.ValidUntil);
    }

    public static IEnumerable<FieldChange> OfQuarantine(bool before, bool after) =>
        before == after ? [] : [FieldChange.Of("withheld", before, after)];

    /// <summary>
    /// Up to two events: one of the terms, and one of switching the key off or on, which people look for by its own
    /// type.
    /// </summary>
    public static IEnumerable<KeyEvent> OfUpdate(ApiKey before, ApiKey after)
    {
        FieldChange[] terms = [.. OfTerms(before, after)];
        if (terms.Length > 0)
            yield return new KeyEvent(EventType.KeyUpdated, null, terms);
        if (before.IsDisabled != after.IsDisabled)
        {
            yield return new KeyEvent(
                after.IsDisabled ? EventType.KeyDisabled : EventType.KeyEnabled,
                null,
                [FieldChange.Of("disabled", before.IsDisabled, after.IsDisabled)]);
        }
    }

    private static IEnumerable<FieldChange> OfTerms(ApiKey before, ApiKey after)
    {
        if (before.Name != after.Name)
            yield return FieldChange.Of("name", before.Name, after.Name);
        if (before.Role != after.Role)
            yield return FieldChange.Of("role", before.Role.Name(), after.Role.Name());
        if (before.Owner != after.Owner)
            yield return FieldChange.Of("owner", before.Owner, after.Owner);
        if (!before.FreePermissions.SequenceEqual(after.FreePermissions))
            yield return FieldChange.Of("permissions", before.FreePermissions, after.FreePermissions);
        if (!Metadata.AreEqual(before.Metadata, after.Metadata))
            yield return FieldChange.Of("metadata", before.Metadata, after.Metadata);
        if (before.RateLimitPerMinute != after.RateLimitPerMinute)
            yield return FieldChange.Of("rate_limit_per_minute", before.RateLimitPerMinute, after.RateLimitPerMinute);
        if (!before.AllowedIps.SequenceEqual(after.AllowedIps))
            yield return FieldChange.Of("allowed_ips", Texts(before.AllowedIps), Texts(after.AllowedIps));
        foreach (var change in OfQuarantine(before.IsQuarantined, after.IsQuarantined))
            yield return change;
    }

    private static IEnumerable<string> Texts(IEnumerable<IpRange> ranges) => ranges.Select(range => range.ToString());
}
