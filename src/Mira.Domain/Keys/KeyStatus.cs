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
    private static readonly string[] Names = ["revoked", "expired", "disabled", "rotating", "active"];

    public static string Name(this KeyStatus status) => Names[(int)status];

    public static bool TryParse([NotNullWhen(true)] string? name, out KeyStatus status)
    {
        var index = Array.IndexOf(Names, name);
        status = (KeyStatus)Math.Max(index, 0);
        return index >= 0;
    }
}
