using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Mira.Domain.Ledger;

/// <summary>
/// Signs where the ledger ends: an ECDSA key on P-256. Who can write the ledger but has not got this key cannot make an
/// end that is believed.
/// </summary>
public sealed class AuditKey
{
    private readonly ECDsa _key;
    private readonly IReadOnlyList<AuditKey> _outgoing;
    private readonly Lock _lock = new();

    private AuditKey(ECDsa key, IReadOnlyList<AuditPublicKey> earlier, IReadOnlyList<AuditKey> outgoing)
    {
        (_key, _outgoing) = (key, outgoing);
        Public = AuditPublicKey.Of(key);
        Earlier = [.. earlier.Where(other => other != Public).Distinct()];
    }

    public AuditPublicKey Public { get; }

    /// <summary>
    /// Public parts of keys that signed before this one and are still believed about what they signed.
    /// </summary>
    public IReadOnlyList<AuditPublicKey> Earlier { get; }

    public static AuditKey Generate() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256), [], []);

    /// <summary>
    /// Reads PEM with a private key (PKCS#8 or SEC 1), and behind it earlier ones: whole, so that they sign that this
    /// one takes over from them, or their public parts alone.
    /// </summary>
    /// <param name="problem">What is wrong with it; never a part of it.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out AuditKey? key, out string problem)
    {
        key = null;
        if (!PemKeys.TryRead(text, out var privates, out var publics, out problem))
            return false;

        if (privates.Count == 0)
        {
            problem = "holds no private key";
            return false;
        }

        List<AuditKey> outgoing = [.. privates.Skip(1).Select(one => new AuditKey(one, [], []))];
        key = new AuditKey(privates[0], [.. outgoing.Select(one => one.Public), .. publics], outgoing);
        return true;
    }

    /// <summary>The same key, which also believes these earlier ones.</summary>
    public AuditKey After(params IEnumerable<AuditPublicKey> earlier) => new(_key, [.. Earlier, .. earlier], _outgoing);

    /// <summary>
    /// The same key, with an earlier one that it believes at hand, to sign that this one takes over from it.
    /// </summary>
    public AuditKey TakingOverFrom(AuditKey outgoing) => Earlier.Contains(outgoing.Public) ? new(_key, Earlier, [.. _outgoing, outgoing]) : this;

    /// <summary>
    /// Has the earlier key sign that this one takes over from it; null when only its public part is known.
    /// </summary>
    /// <param name="seq">Of the event that tells so.</param>
    public string? SignHandover(AuditPublicKey from, long seq) =>
        _outgoing.FirstOrDefault(key => key.Public == from)?.Sign(AuditKeyRotation.Statement(from, Public, seq));

    public Checkpoint Sign(LedgerPosition position, DateTimeOffset at) => Sign(position, at, isCut: false);

    /// <summary>Signs that the ledger begins behind this place, because what was before it was pruned.</summary>
    public Checkpoint SignCut(LedgerPosition position, DateTimeOffset at) => Sign(position, at, isCut: true);

    /// <summary>This key's public part or an earlier one's, when it is the one with this text.</summary>
    public AuditPublicKey? FindPublic(string? text) => Earlier.Prepend(Public).FirstOrDefault(known => known.Text == text);

    /// <summary>The secret itself, to be kept where nobody but the service can read it.</summary>
    public string ExportPem()
    {
        lock (_lock)
            return _key.ExportPkcs8PrivateKeyPem() + "\n";
    }

    private Checkpoint Sign(LedgerPosition position, DateTimeOffset at, bool isCut)
    {
        var signature = Sign(Checkpoint.Statement(position.Seq, position.Hash, at, isCut));
        return new Checkpoint(position.Seq, position.Hash, Rfc3339.Truncate(at), signature);
    }

    private string Sign(byte[] statement)
    {
        lock (_lock)
            return Convert.ToBase64String(_key.SignData(statement, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
    }
}

/// <summary>Tells a true signature of the ledger's end from others. It can be given to anybody.</summary>
public sealed class AuditPublicKey : IEquatable<AuditPublicKey>
{
    private const int IdLength = 16;

    private readonly ECDsa _key;
    private readonly Lock _lock = new();

    private AuditPublicKey(ECDsa key, byte[] encoded)
    {
        _key = key;
        Text = Convert.ToBase64String(encoded);
        Id = Convert.ToHexStringLower(SHA256.HashData(encoded))[..IdLength];
    }

    /// <summary>
    /// The first 16 hex digits of the SHA-256 of its SubjectPublicKeyInfo: names it in logs and beside what it signed.
    /// </summary>
    public string Id { get; }

    /// <summary>Its SubjectPublicKeyInfo (RFC 5280) in base64: what stands between the lines of its PEM.</summary>
    public string Text { get; }

    /// <summary>Reads PEM with public keys; private ones in it count by their public part.</summary>
    /// <param name="problem">What is wrong with it; never a part of it.</param>
    public static bool TryParse(string text, out IReadOnlyList<AuditPublicKey> keys, out string problem)
    {
        keys = [];
        if (!PemKeys.TryRead(text, out var privates, out var publics, out problem))
            return false;

        keys = [.. publics, .. privates.Select(Of)];
        privates.ForEach(one => one.Dispose());
        problem = keys.Count == 0 ? "holds no public key" : "";
        return keys.Count > 0;
    }

    /// <summary>Reads <see cref="Text"/>; null when it is no key on P-256.</summary>
    public static AuditPublicKey? FromText(string text)
    {
        try
        {
            return PemKeys.ReadPublic(Convert.FromBase64String(text));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    /// <summary>
    /// Did this key sign it? The signature counts in one form of text only, so that not a character of it can be
    /// changed.
    /// </summary>
    public bool Verifies(Checkpoint checkpoint, bool isCut = false) =>
        Verifies(Checkpoint.Statement(checkpoint.Seq, checkpoint.Hash, checkpoint.At, isCut), checkpoint.Signature);

    internal bool Verifies(byte[] statement, string text)
    {
        var signature = new byte[text.Length];
        if (!Convert.TryFromBase64String(text, signature, out var length) || Convert.ToBase64String(signature.AsSpan(0, length)) != text)
            return false;

        lock (_lock)
            return _key.VerifyData(statement, signature.AsSpan(0, length), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
    }

    public string ExportPem()
    {
        lock (_lock)
            return _key.ExportSubjectPublicKeyInfoPem() + "\n";
    }

    public bool Equals(AuditPublicKey? other) => other is not null && other.Text == Text;

    public override bool Equals(object? obj) => Equals(obj as AuditPublicKey);

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => $"audit key {Id}";

    public static bool operator ==(AuditPublicKey? left, AuditPublicKey? right) => Equals(left, right);

    public static bool operator !=(AuditPublicKey? left, AuditPublicKey? right) => !Equals(left, right);

    internal static AuditPublicKey Of(ECDsa key)
    {
        var encoded = key.ExportSubjectPublicKeyInfo();
        var own = ECDsa.Create();
        own.ImportSubjectPublicKeyInfo(encoded, out _);
        return new AuditPublicKey(own, encoded);
    }
}

internal static class PemKeys
{
    private const string P256 = "1.2.840.10045.3.1.7";

    /// <summary>
    /// Every block of the text must be a key on P-256 (or the parameters that some tools put beside one).
    /// </summary>
    public static bool TryRead(string text, out List<ECDsa> privates, out List<AuditPublicKey> publics, out string problem)
    {
        (privates, publics, problem) = ([], [], "");
        var rest = text.AsSpan();
        try
        {
            while (PemEncoding.TryFind(rest, out var found))
            {
                var encoded = Convert.FromBase64String(rest[found.Base64Data].ToString());
                switch (rest[found.Label])
                {
                    case "PRIVATE KEY":
                        privates.Add(Import(key => key.ImportPkcs8PrivateKey(encoded, out _)));
                        break;
                    case "EC PRIVATE KEY":
                        privates.Add(Import(key => key.ImportECPrivateKey(encoded, out _)));
                        break;
                    case "PUBLIC KEY":
                        publics.Add(ReadPublic(encoded) ?? throw new CryptographicException());
                        break;
                    case "EC PARAMETERS":
                        break;
                    default:
                        problem = "holds PEM that is neither a private nor a public key; a private key must not be encrypted";
                        break;
                }

                rest = rest[found.Location.End..];
            }
        }
        catch (CryptographicException)
        {
            problem = "holds a key that is not one of ECDSA on the curve P-256";
        }

        if (problem.Length == 0 && privates.Count + publics.Count == 0)
            problem = "is not a key in PEM";
        if (problem.Length > 0)
            privates.ForEach(key => key.Dispose());
        return problem.Length == 0;
    }

    public static AuditPublicKey? ReadPublic(byte[] encoded)
    {
        try
        {
            using var key = Import(one => one.ImportSubjectPublicKeyInfo(encoded, out _));
            return AuditPublicKey.Of(key);
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static ECDsa Import(Action<ECDsa> import)
    {
        var key = ECDsa.Create();
        try
        {
            import(key);
            return key.ExportParameters(includePrivateParameters: false).Curve.Oid?.Value == P256 ? key : throw new CryptographicException();
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }
}
