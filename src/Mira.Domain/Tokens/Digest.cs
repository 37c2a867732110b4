using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Mira.Domain.Tokens;

/// <summary>What is stored of a token: <c>HMAC-SHA256(pepper, SHA-256(token))</c>, 32 bytes.</summary>
public readonly struct Digest
{
    public const int Size = 32;

    private readonly Bytes _bytes;

    private Digest(Bytes bytes) => _bytes = bytes;

    /// <exception cref="ArgumentException"><paramref name="bytes"/> is not 32 bytes long.</exception>
    public static Digest From(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
            throw new ArgumentException("A digest is 32 bytes long.", nameof(bytes));

        var copy = default(Bytes);
        bytes.CopyTo(copy);
        return new Digest(copy);
    }

    public byte[] ToArray() => ((ReadOnlySpan<byte>)_bytes).ToArray();

    /// <summary>The one place where digests are compared; it takes the same time wherever they differ.</summary>
    public static bool FixedTimeEquals(in Digest left, in Digest right) =>
        CryptographicOperations.FixedTimeEquals(left._bytes, right._bytes);

    [InlineArray(Size)]
    private struct Bytes
    {
        private byte _first;
    }
}
