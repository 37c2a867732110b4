using System.Diagnostics.CodeAnalysis;

namespace Mira.Domain.Keys;

/// <summary>Each role may do what the one before it may, and more.</summary>
public enum Role
{
    Viewer,
    Operator,
    Admin,
}

/// <summary>Names of roles and what each is allowed (the table "Roles and permissions" of the guide).</summary>
public static class Roles
{
    private static readonly string[] Names = ["viewer", "operator", "admin"];

    private static readonly string[][] Granted =
    [
        [Permission.KeysRead],
        [Permission.KeysRead, Permission.KeysVerify, Permission.WebhooksExecute],
        [
            Permission.AuditRead, Permission.KeysManage, Permission.KeysRead, Permission.KeysVerify, Permission.StatsRead,
            Permission.WebhooksExecute,
        ],
    ];

    public static IReadOnlyList<Role> All { get; } = [Role.Viewer, Role.Operator, Role.Admin];

    public static string Name(this Role role) => Names[(int)role];

    /// <summary>Sorted by ordinal.</summary>
    public static IReadOnlyList<string> Permissions(this Role role) => Granted[(int)role];

    public static bool TryParse([NotNullWhen(true)] string? name, out Role role)
    {
        var index = Array.IndexOf(Names, name);
        role = (Role)Math.Max(index, 0);
        return index >= 0;
    }
}
