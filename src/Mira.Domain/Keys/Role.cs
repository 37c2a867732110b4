using System.Diagnostics.CodeAnalysis;

namespace Mira.Domain.Keys;

/// <summary>Each role may do what the role before it may, and more.</summary>
public enum Role
{
    Viewer,
    Operator,
    Admin,
}

/// <summary>
/// Names of roles and what each role grants (the table "Roles and permissions" of the guide). A new role does not
/// compile without its rows here.
/// </summary>
public static class Roles
{
    private static readonly string[] OfViewer = [Permission.KeysRead];

    private static readonly string[] OfOperator = [Permission.KeysRead, Permission.KeysVerify, Permission.WebhooksExecute];

    private static readonly string[] OfAdmin =
    [
        Permission.AuditRead, Permission.KeysManage, Permission.KeysRead, Permission.KeysVerify, Permission.StatsRead,
        Permission.WebhooksExecute,
    ];

    /// <summary>In ascending order of what they grant.</summary>
    public static IReadOnlyList<Role> All { get; } = Enum.GetValues<Role>();

    /// <summary>In the order of <see cref="All"/>.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(role => role.Name())];

    /// <summary>The names as part of a sentence: <c>viewer, operator or admin</c>.</summary>
    public static string Sentence { get; } = $"{string.Join(", ", Names.SkipLast(1))} or {Names[^1]}";

    public static string Name(this Role role) => role switch
    {
        Role.Viewer => "viewer",
        Role.Operator => "operator",
        Role.Admin => "admin",
    };

    /// <summary>Sorted by ordinal.</summary>
    public static IReadOnlyList<string> Permissions(this Role role) => role switch
    {
        Role.Viewer => OfViewer,
        Role.Operator => OfOperator,
        Role.Admin => OfAdmin,
    };

    /// <summary>
    /// True when the role shows all keys, false when it shows a caller its own key and the keys of its own owner.
    /// </summary>
    public static bool SeesAllKeys(this Role role) => role switch
    {
        Role.Viewer => false,
        Role.Operator or Role.Admin => true,
    };

    public static bool TryParse([NotNullWhen(true)] string? name, out Role role)
    {
        foreach (var one in All)
        {
            role = one;
            if (one.Name() == name)
                return true;
        }

        role = default;
        return false;
    }
}
