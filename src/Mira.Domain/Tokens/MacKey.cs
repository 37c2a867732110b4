using System.Security.Cryptography;

namespace Mira.Domain.Tokens;

/// <summary>
/// Signs what is kept where others can write, so that what they wrote is not believed: HMAC-SHA256, 32 bytes.
/// </summary>
public sealed class MacKey
{
    public const int Size = Digest.Size;

    private readonly byte[] _key;

    internal MacKey(byte[] key) => _key = key;

    public void Sign(ReadOnlySpan<byte> message, Span<byte> destination) => HMACSHA256.HashData(_key, message, destination);

    public bool Verifies(ReadOnlySpan<byte> message, ReadOnlySpan<byte> mac)
    {
        Span<byte> expected = stackalloc byte[Size];
        Sign(message, expected);
        return mac.Length == Size && Digest.FixedTimeEquals(Digest.From(expected), Digest.From(mac));
    }
}
