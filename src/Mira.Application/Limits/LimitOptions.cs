using Mira.Application.Settings;
using Mira.Domain.Keys;

namespace Mira.Application.Limits;

/// <summary>How many calls a minute a key may make, and an address may fail.</summary>
public sealed record LimitOptions
{
    /// <summary><c>RATE_LIMIT_ENABLED</c>. False switches off every limit, that of failures too.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary><c>RATE_LIMIT_VIEWER</c>, 1 to 10 000 000, for keys without a limit of their own.</summary>
    public int Viewer { get; init; } = 100;

    /// <summary><c>RATE_LIMIT_OPERATOR</c>, 1 to 10 000 000, for keys without a limit of their own.</summary>
    public int Operator { get; init; } = 200;

    /// <summary><c>RATE_LIMIT_ADMIN</c>, 1 to 10 000 000, for keys without a limit of their own.</summary>
    public int Admin { get; init; } = 500;

    /// <summary>
    /// <c>RATE_LIMIT_FAILURES</c>, 1 to 10 000 000: invalid keys from one address (IPv6: one /64) at this node.
    /// </summary>
    public int Failures { get; init; } = 60;

    /// <summary><c>RATE_LIMIT_WITHOUT_REDIS</c>: <c>local</c> (default), <c>share</c> or <c>refuse</c>.</summary>
    public WithoutRedis WithoutRedis { get; init; } = WithoutRedis.Local;

    public static LimitOptions Read(SettingReader settings)
    {
        var defaults = new LimitOptions();
        return new LimitOptions
        {
            Enabled = settings.Truth("RATE_LIMIT_ENABLED", "Mira:RateLimit:Enabled", defaults.Enabled),
            Viewer = Calls("RATE_LIMIT_VIEWER", "Mira:RateLimit:Viewer", defaults.Viewer),
            Operator = Calls("RATE_LIMIT_OPERATOR", "Mira:RateLimit:Operator", defaults.Operator),
            Admin = Calls("RATE_LIMIT_ADMIN", "Mira:RateLimit:Admin", defaults.Admin),
            Failures = Calls("RATE_LIMIT_FAILURES", "Mira:RateLimit:Failures", defaults.Failures),
            WithoutRedis = Enum.Parse<WithoutRedis>(
                settings.Choice("RATE_LIMIT_WITHOUT_REDIS", "Mira:RateLimit:WithoutRedis", "local", "local", "share", "refuse"), ignoreCase: true),
        };

        int Calls(string name, string path, int fallback) => settings.Number(name, path, fallback, 1, KeyTerms.MaximumRateLimit);
    }

    /// <summary>The key's own limit, else its role's.</summary>
    public int Of(ApiKey key) => key.RateLimitPerMinute ?? key.Role switch
    {
        Role.Viewer => Viewer,
        Role.Operator => Operator,
        Role.Admin => Admin,
    };
}

/// <summary>What a node does with calls while the shared windows do not answer.</summary>
public enum WithoutRedis
{
    /// <summary>It admits up to the whole limit by itself.</summary>
    Local,

    /// <summary>It admits up to the limit divided by the nodes seen in the last minute, at least 1.</summary>
    Share,

    /// <summary>It admits nothing and answers 503 <c>limits_unavailable</c>.</summary>
    Refuse,
}
