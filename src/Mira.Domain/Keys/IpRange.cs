using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mira.Domain.Keys;

/// <summary>
/// An address or CIDR block from which a key may be used, in one normal form: host bits cleared, IPv4-mapped IPv6 as
/// IPv4, a full-length prefix dropped.
/// </summary>
public sealed class IpRange : IEquatable<IpRange>
{
    public const int MaximumPerKey = 50;

    private readonly IPNetwork _network;

    private IpRange(IPNetwork network) => _network = network;

    /// <summary>
    /// Accepts an address or CIDR block in its plain notation; no octal, hexadecimal or short forms, no zone.
    /// </summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out IpRange? range)
    {
        range = null;
        if (text is null)
            return false;

        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TryParseAddress(slash < 0 ? text : text[..slash], out var address, out var mapped))
            return false;

        var bits = address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128;
        var length = bits;
        if (slash >= 0 && !TryParseLength(text.AsSpan(slash + 1), mapped ? 96 : 0, mapped ? 128 : bits, out length))
            return false;
        if (slash >= 0 && mapped)
            length -= 96;

        range = new IpRange(new IPNetwork(ClearHostBits(address, length), length));
        return true;
    }

    /// <summary>Accepts one address in its plain notation.</summary>
    public static bool TryParseAddress([NotNullWhen(true)] string? text, [NotNullWhen(true)] out IPAddress? address) =>
        TryParseAddress(text, out address, out _);

    public bool Contains(IPAddress address) => _network.Contains(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);

    public override string ToString() =>
        _network.PrefixLength == (_network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)
            ? _network.BaseAddress.ToString()
            : _network.ToString();

    public bool Equals(IpRange? other) => other is not null && _network.Equals(other._network);

    public override bool Equals(object? obj) => Equals(obj as IpRange);

    public override int GetHashCode() => _network.GetHashCode();

    private static bool TryParseAddress(string? text, [NotNullWhen(true)] out IPAddress? address, out bool mapped)
    {
        mapped = false;
        // IPAddress.TryParse also takes "1", "0x7f.1", "010.0.0.1" and zones; only the plain forms are meant here.
        if (!IPAddress.TryParse(text, out address) || text!.AsSpan().ContainsAny("%[] "))
            return false;
        if (address.AddressFamily == AddressFamily.InterNetwork)
            return address.ToString() == text;

        mapped = address.IsIPv4MappedToIPv6;
        if (mapped)
            address = address.MapToIPv4();
        return true;
    }

    private static bool TryParseLength(ReadOnlySpan<char> text, int minimum, int maximum, out int length) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out length)
        && (text.Length == 1 || text[0] != '0')
        && length >= minimum && length <= maximum;

    private static IPAddress ClearHostBits(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            var kept = Math.Clamp(length - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xFF00 >> kept);
        }

        return new IPAddress(bytes);
    }
}
