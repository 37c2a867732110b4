using System.Text.RegularExpressions;

namespace Mira.Domain.Keys;

/// <summary>
/// <c>resource:action</c>, each <c>[a-z][a-z0-9_.-]{0,62}</c>. A key may carry free ones of the user's own services,
/// with <c>*</c> for every action.
/// </summary>
public static partial class Permission
{
    public const string KeysRead = "keys:read";
    public const string KeysVerify = "keys:verify";
    public const string KeysManage = "keys:manage";
    public const string WebhooksExecute = "webhooks:execute";
    public const string AuditRead = "audit:read";
    public const string StatsRead = "stats:read";

    public const int MaximumPerKey = 100;

    private static readonly string[] Reserved = ["keys:", "webhooks:", "audit:", "stats:"];

    /// <summary>May a key be given it? Mira's own resources come with the role alone.</summary>
    public static bool IsGrantable(string permission) =>
        GrantablePattern().IsMatch(permission)
        && !Array.Exists(Reserved, prefix => permission.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>May it be asked for? One thing is asked for, so there is no wildcard.</summary>
    public static bool IsAskable(string permission) => AskablePattern().IsMatch(permission);

    /// <summary>
    /// True when <paramref name="granted"/> is <paramref name="asked"/>, or its resource with <c>*</c>.
    /// </summary>
    public static bool Covers(string granted, string asked) =>
        granted == asked
        || (granted.EndsWith(":*", StringComparison.Ordinal)
            && asked.AsSpan().StartsWith(granted.AsSpan(0, granted.Length - 1), StringComparison.Ordinal));

    [GeneratedRegex(@"\A[a-z][a-z0-9_.-]{0,62}:(\*|[a-z][a-z0-9_.-]{0,62})\z", RegexOptions.CultureInvariant)]
    private static partial Regex GrantablePattern();

    [GeneratedRegex(@"\A[a-z][a-z0-9_.-]{0,62}:[a-z][a-z0-9_.-]{0,62}\z", RegexOptions.CultureInvariant)]
    private static partial Regex AskablePattern();
}
