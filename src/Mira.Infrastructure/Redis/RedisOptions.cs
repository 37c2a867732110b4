using System.Globalization;
using Mira.Application.Settings;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>Which Redis is used for what: <c>REDIS_HOST</c> and its kin for the cache, <c>RATE_LIMIT_STORAGE</c> for the limits when they lie elsewhere.</summary>
/// <param name="Cache">Null for no second cache layer.</param>
/// <param name="Limits">Null when each node goes by its own windows.</param>
public sealed record RedisOptions(RedisDatabase? Cache, RedisDatabase? Limits)
{
    private const string HostSetting = "REDIS_HOST";
    private const string UserSetting = "REDIS_USER";
    private const string LimitsSetting = "RATE_LIMIT_STORAGE";
    private const int DefaultPort = 6379;
    private const int MaximumDatabase = 65_535;

    /// <exception cref="SettingException">A setting cannot be right; its value, which may hold a password, is never shown.</exception>
    public static RedisOptions Read(SettingReader settings)
    {
        var cache = ReadCache(settings);
        var isLimited = settings.Truth("RATE_LIMIT_ENABLED", "Mira:RateLimit:Enabled", true);
        var limits = settings.Text(LimitsSetting, "Mira:RateLimit:Storage") is { } text ? Parse(text) : cache;
        return new RedisOptions(cache, isLimited ? limits : null);
    }

    private static RedisDatabase? ReadCache(SettingReader settings)
    {
        var port = settings.Number("REDIS_PORT", "Mira:Redis:Port", DefaultPort, 1, 65_535);
        var database = settings.Number("REDIS_DB", "Mira:Redis:Database", 0, 0, MaximumDatabase);
        var isTls = settings.Truth("REDIS_TLS", "Mira:Redis:Tls", false);
        var user = settings.Text(UserSetting, "Mira:Redis:User");
        var password = settings.Text("REDIS_PASSWORD", "Mira:Redis:Password");
        if (settings.Text(HostSetting, "Mira:Redis:Host") is not { } host)
            return null;

        if (!IsHost(host))
            throw new SettingException(HostSetting, "must be the name or address of a host, without a port");
        if (user is not null && password is null)
            throw new SettingException(UserSetting, "needs REDIS_PASSWORD");
        return new RedisDatabase(new RedisEndpoint(host.Trim('[', ']'), port, user, password, isTls), database);
    }

    private static RedisDatabase Parse(string text)
    {
        var path = "";
        var isUsable = Uri.TryCreate(text, UriKind.Absolute, out var uri)
            && uri is { Scheme: "redis" or "rediss", Query: "", Fragment: "" }
            && IsHost(uri.DnsSafeHost)
            && uri.Port != 0;
        if (isUsable)
            path = uri!.AbsolutePath.Trim('/');
        var database = 0;
        if (!isUsable || (path.Length > 0 && !(int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out database) && database <= MaximumDatabase)))
            throw Wrong();

        var (user, password) = Credentials(uri!.UserInfo);
        var port = uri.Port < 0 ? DefaultPort : uri.Port;
        return new RedisDatabase(new RedisEndpoint(uri.DnsSafeHost, port, user, password, uri.Scheme == "rediss"), database);
    }

    private static (string? User, string? Password) Credentials(string userInfo)
    {
        if (userInfo.Length == 0)
            return (null, null);

        var parts = userInfo.Split(':', 2);
        if (parts.Length < 2 || parts[1].Length == 0)
            throw Wrong();
        return (parts[0].Length == 0 ? null : Uri.UnescapeDataString(parts[0]), Uri.UnescapeDataString(parts[1]));
    }

    private static bool IsHost(string text) => Uri.CheckHostName(text) is UriHostNameType.Dns or UriHostNameType.IPv4 or UriHostNameType.IPv6;

    private static SettingException Wrong() =>
        new(LimitsSetting, $"must be like redis[s]://[user:password@]host:port/database, with a database from 0 to {MaximumDatabase}");
}

/// <summary>One of a server's numbered databases.</summary>
public sealed record RedisDatabase(RedisEndpoint Endpoint, int Number);

/// <summary>A server and who we are there. What is the same shares one connection.</summary>
/// <param name="User">Null for the server's default user.</param>
public sealed record RedisEndpoint(string Host, int Port, string? User, string? Password, bool IsTls)
{
    /// <summary>A call waits this long for Redis and no longer, whatever happens to Redis.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// As measured: with the library's own values a call costs 5 to 20 s while the server is down or stalled. The heartbeat finds a dead
    /// connection after four times the timeout and makes a new one.
    /// </summary>
    public ConfigurationOptions ToConfiguration(int database)
    {
        var timeout = (int)(2 * Patience).TotalMilliseconds;
        var configuration = new ConfigurationOptions
        {
            AbortOnConnectFail = false,
            BacklogPolicy = BacklogPolicy.FailFast,
            HeartbeatInterval = TimeSpan.FromMilliseconds(100),
            AsyncTimeout = timeout,
            SyncTimeout = timeout,
            ConnectTimeout = 1_000,
            ReconnectRetryPolicy = new LinearRetry(100),
            // Neither several primaries nor messages between clients are used.
            TieBreaker = "",
            ConfigurationChannel = "",
            IncludeDetailInExceptions = false,
            ClientName = "mira",
            DefaultDatabase = database,
            User = User,
            Password = Password,
            Ssl = IsTls,
        };
        configuration.EndPoints.Add(Host, Port);
        return configuration;
    }

    /// <summary>Without the password.</summary>
    public override string ToString() => $"{Host}:{Port}";
}
