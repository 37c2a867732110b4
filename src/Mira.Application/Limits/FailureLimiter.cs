using System.Net;
using System.Net.Sockets;
using BitFaster.Caching.Lru;

namespace Mira.Application.Limits;

/// <summary>
/// Counts invalid keys by the address they come from, so that nobody tries many. It changes what a failure is told and
/// nothing else: a good key from the same address is never asked about here.
/// </summary>
/// <param name="capacity">Addresses remembered; the least recently seen are forgotten.</param>
public sealed class FailureLimiter(LimitOptions options, TimeProvider clock, int capacity = FailureLimiter.DefaultCapacity)
{
    public const int DefaultCapacity = 20_000;

    private const int SubnetBytes = 8;

    private readonly ConcurrentLru<Source, SlidingWindow> _sources = new(capacity);
    private readonly long _start = clock.GetTimestamp();

    /// <summary>How many addresses are remembered now.</summary>
    public int Sources => _sources.Count;

    /// <summary>
    /// Counts a failure. Past the limit it is not counted, and the seconds until one may be made again are returned
    /// instead of 0.
    /// </summary>
    public int Note(IPAddress? address)
    {
        if (!options.Enabled)
            return 0;

        var window = _sources.GetOrAdd(Source.Of(address), static _ => new SlidingWindow());
        lock (window)
        {
            var now = clock.GetElapsedTime(_start).Ticks;
            window.MoveTo(now);
            if (window.Total >= options.Failures)
                return (int)Math.Min(60, (window.UntilRelease(now) + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond);

            window.Add(now, 1);
            return 0;
        }
    }

    /// <summary>An IPv4 address, or the /64 that one subscriber of IPv6 has.</summary>
    private readonly record struct Source(ulong Bits, AddressFamily Family)
    {
        public static Source Of(IPAddress? address)
        {
            if (address is null)
                return default;

            Span<byte> bytes = stackalloc byte[16];
            address.TryWriteBytes(bytes, out _);
            if (address.IsIPv4MappedToIPv6)
                bytes[12..].CopyTo(bytes);
            return address.AddressFamily == AddressFamily.InterNetwork || address.IsIPv4MappedToIPv6
                ? new Source(BitConverter.ToUInt32(bytes), AddressFamily.InterNetwork)
                : new Source(BitConverter.ToUInt64(bytes[..SubnetBytes]), AddressFamily.InterNetworkV6);
        }
    }
}
