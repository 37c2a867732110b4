using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Keys;

/// <summary>Which versions of a key a caller has seen and means to change; null for whichever it is.</summary>
public sealed record VersionCondition(IReadOnlyCollection<int>? Versions)
{
    public static VersionCondition Any { get; } = new((IReadOnlyCollection<int>?)null);

    /// <summary>What a caller said cannot be understood; a mistake only where the condition counts.</summary>
    public static VersionCondition Unreadable { get; } = new([]);

    /// <exception cref="VersionMismatchException">The key has another version.</exception>
    /// <exception cref="UnreadableConditionException">The condition is <see cref="Unreadable"/>.</exception>
    public void Demand(int version)
    {
        if (ReferenceEquals(this, Unreadable))
            throw new UnreadableConditionException();
        if (Versions is not null && !Versions.Contains(version))
            throw new VersionMismatchException(version);
    }
}

public sealed class VersionMismatchException(int version)
    : Exception($"The key has been changed since: its version is {version} now.");

public sealed class UnreadableConditionException()
    : Exception("If-Match must be * or a list of tags like \"7\".");

public sealed class UnknownKeyException()
    : Exception("There is no key with this id.");

internal static class LedgerChangeKeys
{
    /// <exception cref="UnknownKeyException">No such key, or not the form of a key id.</exception>
    /// <exception cref="KeyNotAuthenticException">What is stored of it is not what Mira wrote.</exception>
    public static async Task<ApiKey> GetKeyAsync(this ILedgerChange change, string keyId)
    {
        var key = (KeyId.TryParse(keyId, out var id) ? await change.FindKeyAsync(id) : null) ?? throw new UnknownKeyException();
        return key.IsDoubted ? throw new KeyNotAuthenticException(key.Id) : key;
    }
}
