using System.Text;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mira.Application.Settings;
using Mira.Domain.Keys;

namespace Mira.Web.Requests;

/// <summary>
/// What stands between the browser or proxy and the service: <c>CORS_*</c> and <c>MIRA_TRUSTED_PROXIES</c>.
/// </summary>
public sealed record EdgeOptions(bool CorsEnabled, IReadOnlyList<string> CorsOrigins, IReadOnlyList<System.Net.IPNetwork> TrustedProxies)
{
    private const string Origins = "CORS_ORIGINS";
    private const string Proxies = "MIRA_TRUSTED_PROXIES";

    private const int MaximumLine = 72 * 1024;
    private const int MaximumHeaders = 128 * 1024;
    private const int MaximumHeaderCount = 1_000;

    private static readonly string[] ExposedHeaders =
    [
        "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Correlation-ID", "Idempotency-Replayed", "Mira-Key-Superseded",
    ];

    /// <summary>
    /// Those of the trusted proxies' networks that hold more than any organisation has: nearly everybody could say who
    /// he is.
    /// </summary>
    public IEnumerable<System.Net.IPNetwork> TooWide => TrustedProxies.Where(network =>
        network.PrefixLength < (network.BaseAddress.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 8 : 16));

    /// <summary>Does what a page may read depend on where it comes from?</summary>
    public bool VariesByOrigin => CorsEnabled && !CorsOrigins.Contains("*");

    public static EdgeOptions Read(SettingReader settings) => new(
        settings.Truth("CORS_ENABLED", "Mira:Cors:Enabled", false),
        [.. settings.List(Origins, "Mira:Cors:Origins").Select(ReadOrigin)],
        [.. settings.List(Proxies, "Mira:TrustedProxies").Select(ReadNetwork)]);

    /// <summary>
    /// What a proxy passes on must get through the parser, whose own refusals are no answers that proxies understand. A
    /// caller's path and query of 32 KiB each may be part of the address, or stand in a header like
    /// <c>X-Forwarded-Uri</c> beside the caller's own. As many headers as nginx lets through. A byte above 7F is
    /// Latin-1 (RFC 9110, section 5.5), so that somebody's cookie does not make the request unreadable.
    /// </summary>
    public static void Apply(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.Limits.MaxRequestLineSize = MaximumLine;
        kestrel.Limits.MaxRequestHeadersTotalSize = MaximumHeaders;
        kestrel.Limits.MaxRequestHeaderCount = MaximumHeaderCount;
    }

    /// <summary>
    /// Origins by name, or all of them; never with credentials, because keys do not travel in cookies.
    /// </summary>
    public void Apply(CorsPolicyBuilder policy)
    {
        policy.AllowAnyHeader().AllowAnyMethod().WithExposedHeaders(ExposedHeaders);
        _ = CorsOrigins.Contains("*") ? policy.AllowAnyOrigin() : policy.WithOrigins([.. CorsOrigins]);
    }

    /// <summary>Only these proxies are believed; the platform would believe loopback too.</summary>
    public void Apply(ForwardedHeadersOptions options)
    {
        // Without a list the platform would believe everyone, once ASPNETCORE_FORWARDEDHEADERS_ENABLED has switched it
        // on.
        options.ForwardedHeaders = TrustedProxies.Count == 0 ? ForwardedHeaders.None : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
        options.ForwardLimit = null;
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in TrustedProxies)
            options.KnownIPNetworks.Add(network);
    }

    private static string ReadOrigin(string text) =>
        text == "*" || (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0 && !text.Contains('#'))
            ? text == "*" ? text : new Uri(text).GetLeftPart(UriPartial.Authority)
            : throw new SettingException(Origins, "each item must be * or an origin like https://console.example.com");

    private static System.Net.IPNetwork ReadNetwork(string text)
    {
        if (!IpRange.TryParse(text, out var range))
            throw new SettingException(Proxies, "each item must be an address or CIDR block");

        var normal = range.ToString();
        return normal.Contains('/', StringComparison.Ordinal)
            ? System.Net.IPNetwork.Parse(normal)
            : System.Net.IPNetwork.Parse(normal + (normal.Contains(':', StringComparison.Ordinal) ? "/128" : "/32"));
    }
}
