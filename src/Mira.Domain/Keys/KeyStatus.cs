using System.Diagnostics.CodeAnalysis;

namespace Mira.Domain.Keys;

/// <summary>Computed from the key and the time, never stored; the first that holds.</summary>
public enum KeyStatus
{
    Revoked,
    Expired,
    Disabled,

    /// <summary>A superseded secret still works.</summary>
    Rotating,
    Active,
}

/// <summary>What the statuses are called outside.</summary>
public static class KeyStatuses
{
    public static IReadOnlyList<KeyStatus> All { get; } = Enum.GetValues<KeyStatus>();

    public static string Name(this KeyStatus status) => status switch
    {
        KeyStatus.Revoked => "revoked",
        KeyStatus.Expired => "expired",
        KeyStatus.Disabled => "disabled",
        KeyStatus.Rotating => "rotating",
        KeyStatus.Active => "active",
    };

    public static bool TryParse([NotNullWhen(true)] string? name, out KeyStatus status)
    {
        foreach (var one in All)
        {
            status = one;
            if (one.Name() == name)
                return true;
        }

        status = default;
        return false;
    }
}
