using System.Net;

namespace Mira.Web.Requests;

/// <summary>
/// Notices <c>X-Forwarded-For</c> from somebody who is no trusted proxy. It is ignored, so that all who come through an
/// unlisted proxy look like one caller: limits of failed attempts and <c>allowed_ips</c> then mean the proxy. Anybody
/// can send the header, so it is told at most once a minute.
/// </summary>
public sealed partial class IgnoredForwarding(EdgeOptions edge, TimeProvider clock, ILogger<IgnoredForwarding> log)
{
    private static readonly TimeSpan Pace = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long? _told;
    private long? _seen;

    /// <summary>Did it happen in the last minute?</summary>
    public bool IsRecent
    {
        get
        {
            lock (_lock)
                return _seen is { } seen && clock.GetElapsedTime(seen) < Pace;
        }
    }

    /// <summary>Before the trusted ones are believed, which takes their words out of the header.</summary>
    public void Look(HttpContext context)
    {
        if (context.Request.Headers["X-Forwarded-For"].Count > 0 && !IsTrusted(context.Connection.RemoteIpAddress))
            Note(context.Connection.RemoteIpAddress);
    }

    private bool IsTrusted(IPAddress? peer)
    {
        var address = peer is { IsIPv4MappedToIPv6: true } ? peer.MapToIPv4() : peer;
        return address is not null && edge.TrustedProxies.Any(network => network.Contains(address));
    }

    private void Note(IPAddress? peer)
    {
        lock (_lock)
        {
            var now = clock.GetTimestamp();
            _seen = now;
            if (_told is { } told && clock.GetElapsedTime(told, now) < Pace)
                return;
            _told = now;
        }

        LogIgnored(peer);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "X-Forwarded-For from {Peer} is ignored, because that is no trusted proxy. If it is yours, put it into MIRA_TRUSTED_PROXIES; told at most once a minute")]
    private partial void LogIgnored(IPAddress? peer);
}
