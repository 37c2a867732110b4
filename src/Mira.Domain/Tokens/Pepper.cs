using System.Security.Cryptography;
using System.Text;

namespace Mira.Domain.Tokens;

/// <summary>
/// A server-side secret that keys the stored digests, so that a stolen database alone cannot even confirm a guess.
/// Its id is public: the first 8 hex digits of <c>SHA-256("mira-pepper-id" ‖ pepper)</c>.
/// </summary>
public sealed class Pepper
{
    public const int MinimumSize = 32;

    // Setting up the key is half of what a digest costs: each thread keeps the state of the pepper it used last, nearly
    // always the only one.
    [ThreadStatic]
    private static (Pepper Pepper, IncrementalHash Hash) _keyed;

    private readonly byte[] _secret;

    /// <exception cref="ArgumentException"><paramref name="secret"/> is shorter than 32 bytes.</exception>
    public Pepper(ReadOnlySpan<byte> secret)
    {
        if (secret.Length < MinimumSize)
            throw new ArgumentException("A pepper is at least 32 bytes long.", nameof(secret));

        _secret = secret.ToArray();
        Id = IdOf(secret);
    }

    public string Id { get; }

    /// <param name="tokenHash">SHA-256 of the token, see <see cref="Token.Hash"/>.</param>
    public Digest Digest(ReadOnlySpan<byte> tokenHash)
    {
        Span<byte> digest = stackalloc byte[Tokens.Digest.Size];
        if (_keyed.Pepper != this)
        {
            _keyed.Hash?.Dispose();
            _keyed = (this, IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _secret));
        }

        _keyed.Hash.AppendData(tokenHash);
        _keyed.Hash.GetHashAndReset(digest);
        return Tokens.Digest.From(digest);
    }

    /// <summary>
    /// A key of its own for one purpose. No purpose is 32 bytes long, as the hash of a token is, so none yields what a
    /// token's digest shows.
    /// </summary>
    /// <exception cref="ArgumentException">The purpose is as long as a hash.</exception>
    public MacKey MacKey(string purpose)
    {
        var name = Encoding.UTF8.GetBytes($"mira-mac:{purpose}");
        return name.Length == Tokens.Digest.Size
            ? throw new ArgumentException("A purpose is not as long as a hash.", nameof(purpose))
            : new MacKey(HMACSHA256.HashData(_secret, name));
    }

    public override string ToString() => $"pepper {Id}";

    private static string IdOf(ReadOnlySpan<byte> secret)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData([.. Encoding.ASCII.GetBytes("mira-pepper-id"), .. secret], hash);
        return Convert.ToHexStringLower(hash[..4]);
    }
}
