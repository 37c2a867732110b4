using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mira.Infrastructure.Backup;

/// <summary>How secrets are wrapped by a passphrase.</summary>
/// <param name="Cipher">Always AES-256-GCM.</param>
/// <param name="Derivation">How the passphrase becomes the key: always PBKDF2-HMAC-SHA256.</param>
/// <param name="Salt">In base64.</param>
/// <param name="Nonce">In base64.</param>
public sealed record WrapParameters(string Cipher, string Derivation, int Iterations, string Salt, string Nonce);

/// <summary>What opens a store, and is not in it.</summary>
/// <param name="Peppers">In base64, the current one first.</param>
/// <param name="AuditKey">PEM with the private key.</param>
internal sealed record BackupSecrets(IReadOnlyList<string> Peppers, string AuditKey)
{
    public override string ToString() => "secrets";
}

/// <summary>Wraps secrets by a passphrase, and opens them again.</summary>
internal static class WrappedSecrets
{
    private const string Cipher = "AES-256-GCM";
    private const string Derivation = "PBKDF2-HMAC-SHA256";
    private const int KeySize = 32;
    private const int TagSize = 16;
    private const int NonceSize = 12;
    private const int SaltSize = 16;

    /// <summary>What OWASP asks for with SHA-256. A wrong guess costs a tenth of a second or more.</summary>
    private const int Iterations = 600_000;

    /// <summary>Fewer are no protection, and more let a foreign file keep this process busy.</summary>
    private const int FewestIterations = 100_000;
    private const int MostIterations = 10_000_000;

    /// <summary>New parameters for one backup.</summary>
    public static WrapParameters NewParameters() => new(
        Cipher, Derivation, Iterations, Convert.ToBase64String(RandomNumberGenerator.GetBytes(SaltSize)), Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceSize)));

    /// <param name="binding">What they belong to; they open with nothing else.</param>
    public static byte[] Wrap(BackupSecrets secrets, string passphrase, WrapParameters parameters, byte[] binding)
    {
        var plain = JsonSerializer.SerializeToUtf8Bytes(secrets);
        var wrapped = new byte[plain.Length + TagSize];
        using var gcm = new AesGcm(KeyOf(passphrase, parameters), TagSize);
        gcm.Encrypt(Convert.FromBase64String(parameters.Nonce), plain, wrapped.AsSpan(0, plain.Length), wrapped.AsSpan(plain.Length), binding);
        return wrapped;
    }

    /// <summary>Null when the passphrase is another one, or they were wrapped for something else.</summary>
    /// <exception cref="FormatException">They are not wrapped in a known way.</exception>
    public static BackupSecrets? Open(byte[] wrapped, string passphrase, WrapParameters parameters, byte[] binding)
    {
        if (parameters is not { Cipher: Cipher, Derivation: Derivation, Iterations: >= FewestIterations and <= MostIterations } || wrapped.Length < TagSize)
            throw new FormatException("The secrets are not wrapped in a known way.");

        var plain = new byte[wrapped.Length - TagSize];
        try
        {
            using var gcm = new AesGcm(KeyOf(passphrase, parameters), TagSize);
            gcm.Decrypt(Convert.FromBase64String(parameters.Nonce), wrapped.AsSpan(0, plain.Length), wrapped.AsSpan(plain.Length), plain, binding);
        }
        catch (CryptographicException)
        {
            return null;
        }

        return JsonSerializer.Deserialize<BackupSecrets>(plain);
    }

    private static byte[] KeyOf(string passphrase, WrapParameters parameters) => Rfc2898DeriveBytes.Pbkdf2(
        Encoding.UTF8.GetBytes(passphrase), Convert.FromBase64String(parameters.Salt), parameters.Iterations, HashAlgorithmName.SHA256, KeySize);
}
