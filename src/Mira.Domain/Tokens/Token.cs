using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Mira.Domain.Tokens;

/// <summary>
/// The text a caller holds: <c>mira_key_&lt;id&gt;_&lt;secret&gt;&lt;checksum&gt;</c>, 71 characters.
/// <code>
/// mira_key_ 4fZq0TbLw9Xe _ Jw3…43 characters…k2a 0dQx7P
/// prefix    id             secret                checksum
/// </code>
/// The id is public and safe to log. The secret holds 43 × 5.954 = 256 bits from the operating system's generator: too
/// many to guess, so a fast hash is enough and a slow one would only slow verification. The checksum is the CRC-32 of
/// all before it. A token lives in the request header, the one result that returns it, and with its caller;
/// <see cref="ToString"/> masks it.
/// </summary>
public readonly struct Token
{
    public const int Length = 71;
    private const int SecretLength = 43;
    private const int ChecksumLength = 6;
    private const int ChecksumStart = Length - ChecksumLength;

    [ThreadStatic]
    private static IncrementalHash? _sha256;

    private readonly string _text;

    private Token(string text) => _text = text;

    public KeyId KeyId => KeyId.Of(_text);

    public static Token Generate(KeyId keyId)
    {
        var body = $"{keyId}_{Base62.Random(SecretLength)}";
        Span<char> checksum = stackalloc char[ChecksumLength];
        Base62.Write(Crc32.Of(body), checksum);
        return new Token(string.Concat(body, checksum));
    }

    /// <summary>The only way in from text: exactly the form above, in its exact case, with nothing around it.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Token token)
    {
        token = default;
        if (text is not { Length: Length } || !KeyId.StartsText(text) || text[KeyId.Length] != '_'
            || !Base62.IsText(text.AsSpan(KeyId.Length + 1)))
        {
            return false;
        }

        // Encoded again and compared as text: two texts of one number cannot both be tokens.
        Span<char> checksum = stackalloc char[ChecksumLength];
        Base62.Write(Crc32.Of(text.AsSpan(0, ChecksumStart)), checksum);
        if (!checksum.SequenceEqual(text.AsSpan(ChecksumStart)))
            return false;

        token = new Token(text);
        return true;
    }

    /// <summary>SHA-256 of the whole text, 32 bytes: all that a <see cref="Pepper"/> ever sees of it.</summary>
    public void Hash(Span<byte> destination)
    {
        Span<byte> ascii = stackalloc byte[Length];
        Encoding.ASCII.GetBytes(_text, ascii);
        var hash = _sha256 ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(ascii);
        hash.GetHashAndReset(destination);
    }

    /// <summary>The whole text, for the one answer that hands it to its caller.</summary>
    public string Reveal() => _text;

    public override string ToString() => _text is null ? "" : $"{KeyId}_***";
}
