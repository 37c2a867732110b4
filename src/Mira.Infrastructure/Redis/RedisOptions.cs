using System.Globalization;
using System.Text.RegularExpressions;
using Mira.Application.Settings;
using StackExchange.Redis;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// Which Redis is used for what: <c>REDIS_HOST</c> and its kin for the cache, <c>RATE_LIMIT_STORAGE</c> for the limits
/// when they lie elsewhere.
/// </summary>
/// <param name="Cache">Null for no second cache layer.</param>
/// <param name="Limits">Null when each node goes by its own windows.</param>
public sealed partial record RedisOptions(RedisDatabase? Cache, RedisDatabase? Limits)
{
    private const string HostSetting = "REDIS_HOST";
    private const string UserSetting = "REDIS_USER";
    private const string LimitsSetting = "RATE_LIMIT_STORAGE";
    private const int DefaultPort = 6379;
    private const int DefaultSentinelPort = 26_379;
    private const int MaximumDatabase = 65_535;

    /// <exception cref="SettingException">A setting cannot be right; its value, which may hold a password, is never
    /// shown.</exception>
    public static RedisOptions Read(SettingReader settings)
    {
        var cache = ReadCache(settings);
        var isLimited = settings.Truth("RATE_LIMIT_ENABLED", "Mira:RateLimit:Enabled", true);
        var limits = settings.Text(LimitsSetting, "Mira:RateLimit:Storage") is { } text ? Parse(text) : cache;
        return new RedisOptions(cache, isLimited ? limits : null);
    }

    private static RedisDatabase? ReadCache(SettingReader settings)
    {
        var sentinel = settings.Text("REDIS_SENTINEL", "Mira:Redis:Sentinel");
        var port = settings.Number("REDIS_PORT", "Mira:Redis:Port", sentinel is null ? DefaultPort : DefaultSentinelPort, 1, 65_535);
        var database = settings.Number("REDIS_DB", "Mira:Redis:Database", 0, 0, MaximumDatabase);
        var isTls = settings.Truth("REDIS_TLS", "Mira:Redis:Tls", false);
        var user = settings.Text(UserSetting, "Mira:Redis:User");
        var password = settings.Text("REDIS_PASSWORD", "Mira:Redis:Password");
        if (settings.Text(HostSetting, "Mira:Redis:Host") is not { } host)
            return null;

        if (user is not null && password is null)
            throw new SettingException(UserSetting, "needs REDIS_PASSWORD");

        var hosts = host.Split(',', StringSplitOptions.TrimEntries);
        // One host has its port in REDIS_PORT. Of several each may have its own.
        var servers = hosts.Length == 1 && IsHost(host) ? [(host, port)] : hosts.Length == 1 ? null : ServersOf(hosts, port);
        if (servers is null)
            throw new SettingException(HostSetting, "must be the name or address of a host, without a port, or several with their ports, separated by commas");
        return new RedisDatabase(EndpointOf(servers, user, password, isTls, sentinel), database);
    }

    private static RedisDatabase Parse(string text)
    {
        var match = StorageForm().Match(text);
        var database = 0;
        if (!match.Success || (match.Groups["db"].Value is { Length: > 0 } number && !(int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out database) && database <= MaximumDatabase)))
            throw Wrong();

        var sentinel = match.Groups["service"].Success ? Uri.UnescapeDataString(match.Groups["service"].Value) : null;
        if (ServersOf(match.Groups["hosts"].Value.Split(','), sentinel is null ? DefaultPort : DefaultSentinelPort) is not { } servers)
            throw Wrong();

        var (user, password) = Credentials(match.Groups["user"].Value);
        return new RedisDatabase(EndpointOf(servers, user, password, match.Groups["tls"].Length > 0, sentinel), database);
    }

    private static RedisEndpoint EndpointOf(List<(string Host, int Port)> servers, string? user, string? password, bool isTls, string? sentinel) =>
        new(servers[0].Host.Trim('[', ']'), servers[0].Port, user, password, isTls)
        {
            More = string.Join(',', servers.Skip(1).Select(server => $"{server.Host}:{server.Port}")),
            Sentinel = sentinel,
        };

    /// <returns>Null when one of them is no host with or without a port.</returns>
    private static List<(string Host, int Port)>? ServersOf(IReadOnlyList<string> texts, int port)
    {
        var servers = new List<(string, int)>();
        foreach (var text in texts)
        {
            var match = HostForm().Match(text);
            var own = port;
            if (!match.Success || !IsHost(match.Groups["host"].Value) || (match.Groups["port"].Success && !(int.TryParse(match.Groups["port"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out own) && own is > 0 and <= 65_535)))
                return null;

            servers.Add((match.Groups["host"].Value, own));
        }

        return servers;
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
        new(LimitsSetting, $"must be like redis[s]://[user:password@]host:port[,host:port]/database or redis[s]-sentinel://[user:password@]host:port[,host:port]/service/database, with a database from 0 to {MaximumDatabase}");

    [GeneratedRegex(@"^redis(?<tls>s?)(?:://(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)|-sentinel://(?:(?<user>[^@/?#]*)@)?(?<hosts>[^@/?#]+)/(?<service>[^/?#]+))/?(?<db>[^/?#]*)/?$", RegexOptions.ExplicitCapture)]
    private static partial Regex StorageForm();

    [GeneratedRegex(@"^(?<host>\[[^\]]+\]|[^:]+)(:(?<port>.*))?$", RegexOptions.ExplicitCapture)]
    private static partial Regex HostForm();
}

/// <summary>One of a server's numbered databases.</summary>
public sealed record RedisDatabase(RedisEndpoint Endpoint, int Number);

/// <summary>
/// One server, some servers of a cluster, which name the others, or sentinels, which name the primary; and who we are
/// there. What is the same shares one connection.
/// </summary>
/// <param name="User">Null for the server's default user.</param>
public sealed record RedisEndpoint(string Host, int Port, string? User, string? Password, bool IsTls)
{
    /// <summary>The second host and those after it, as <c>host:port,host:port</c>.</summary>
    public string More { get; init; } = "";

    /// <summary>The service whose primary the hosts, which are sentinels, name; null when they are servers.</summary>
    public string? Sentinel { get; init; }

    /// <summary>
    /// A command waits this long for a Redis that is alive: 250 ms, and as long as its judge takes to see an answer.
    /// </summary>
    public TimeSpan Patience { get; init; } = RedisPulse.LongestAnswer;

    /// <summary>
    /// As measured: with the library's own values a call costs 5 to 20 s while the server is down or stalled. The
    /// heartbeat finds a dead connection after four times the timeout and makes a new one. The timeout is far above
    /// <see cref="Patience"/>: it goes by timers of the thread pool, which cannot tell a slow node from a slow Redis.
    /// </summary>
    public ConfigurationOptions ToConfiguration(int database)
    {
        var timeout = (int)Math.Max(3_000, (2 * Patience).TotalMilliseconds);
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
            ServiceName = Sentinel,
        };
        configuration.EndPoints.Add(Host, Port);
        foreach (var server in More.Split(',', StringSplitOptions.RemoveEmptyEntries))
            configuration.EndPoints.Add(server);
        return configuration;
    }

    /// <summary>Without the password.</summary>
    public override string ToString() => (More.Length == 0 ? $"{Host}:{Port}" : $"{Host}:{Port},{More}") + (Sentinel is null ? "" : $"/{Sentinel}");
}
