using System.Security.Cryptography;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

internal sealed class AuditKeyTests
{
    private const string Private = "PRIVATE KEY";

    private static readonly AuditKey Key = AuditKey.Generate();
    private static readonly LedgerPosition Place = new(42, new string('a', 64));
    private static readonly DateTimeOffset At = new(2026, 3, 1, 12, 0, 0, 7, TimeSpan.Zero);

    [Test]
    public void What_it_signs_its_public_part_verifies_and_another_does_not()
    {
        var signed = Key.Sign(Place, At);
        Assert.That((signed.Position, signed.At), Is.EqualTo((Place, At)));
        Assert.That(Key.Public.Verifies(signed));
        Assert.That(AuditKey.Generate().Public.Verifies(signed), Is.False);
    }

    [Test]
    public void Nothing_of_what_was_signed_can_be_changed()
    {
        var signed = Key.Sign(Place, At);
        Assert.That(Key.Public.Verifies(signed with { Seq = 43 }), Is.False);
        Assert.That(Key.Public.Verifies(signed with { Hash = new string('b', 64) }), Is.False);
        Assert.That(Key.Public.Verifies(signed with { At = At.AddMilliseconds(1) }), Is.False);
        for (var i = 0; i < signed.Signature.Length; i++)
        {
            var other = signed.Signature[i] == 'A' ? 'B' : 'A';
            Assert.That(Key.Public.Verifies(signed with { Signature = signed.Signature[..i] + other + signed.Signature[(i + 1)..] }), Is.False, $"{i}");
        }
    }

    [TestCase("")]
    [TestCase("!")]
    [TestCase("AAAA")]
    [TestCase("MAYCAQECAQE=")]
    public void What_is_no_signature_is_none(string text) => Assert.That(Key.Public.Verifies(Key.Sign(Place, At) with { Signature = text }), Is.False);

    [Test]
    public void A_checkpoint_is_no_cut_and_a_cut_is_no_checkpoint()
    {
        Assert.That(Key.Public.Verifies(Key.Sign(Place, At), isCut: true), Is.False);
        Assert.That(Key.Public.Verifies(Key.SignCut(Place, At)), Is.False);
        Assert.That(Key.Public.Verifies(Key.SignCut(Place, At), isCut: true));
    }

    [Test]
    public void It_is_read_as_it_was_written_in_either_form()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string[] forms = [key.ExportPkcs8PrivateKeyPem(), key.ExportECPrivateKeyPem(), $"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key.ExportECPrivateKeyPem()}"];
        foreach (var form in forms)
        {
            Assert.That(AuditKey.TryParse(form, out var read, out _));
            Assert.That(read!.Public.ExportPem().Trim(), Is.EqualTo(key.ExportSubjectPublicKeyInfoPem()));
            Assert.That(read.Earlier, Is.Empty);
        }
    }

    [Test]
    public void Public_keys_beside_it_are_earlier_ones()
    {
        var earlier = AuditKey.Generate();
        Assert.That(AuditKey.TryParse(Key.ExportPem() + earlier.Public.ExportPem() + Key.Public.ExportPem(), out var read, out _));
        Assert.That(read!.Earlier, Is.EqualTo(new[] { earlier.Public }));
        Assert.That(read.FindPublic(earlier.Public.Text), Is.EqualTo(earlier.Public));
        Assert.That(read.FindPublic(Key.Public.Text), Is.EqualTo(Key.Public));
        Assert.That(read.FindPublic("x") ?? read.FindPublic(null), Is.Null);
    }

    [Test]
    public void What_is_no_key_on_the_curve_is_refused_without_showing_it()
    {
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var rsa = RSA.Create(1024);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string[] wrong =
        [
            "", "hunter2", $"-----BEGIN {Private}-----\nhunter2=\n-----END {Private}-----", p384.ExportPkcs8PrivateKeyPem(), p384.ExportECPrivateKeyPem(),
            rsa.ExportPkcs8PrivateKeyPem(), key.ExportSubjectPublicKeyInfoPem(), key.ExportPkcs8PrivateKeyPem() + "\n" + p384.ExportPkcs8PrivateKeyPem(),
            key.ExportEncryptedPkcs8PrivateKeyPem("x", new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 10)),
            Convert.ToBase64String(key.ExportPkcs8PrivateKey()),
        ];
        foreach (var text in wrong)
        {
            Assert.That(AuditKey.TryParse(text, out var read, out var problem), Is.False, text);
            Assert.That(read, Is.Null);
            Assert.That(problem, Is.Not.Empty.And.Not.Contains("hunter2"));
        }
    }

    [Test]
    public void Public_keys_are_read_alone()
    {
        var other = AuditKey.Generate();
        Assert.That(AuditPublicKey.TryParse(Key.Public.ExportPem() + other.Public.ExportPem(), out var read, out _));
        Assert.That(read, Is.EqualTo(new[] { Key.Public, other.Public }));
        Assert.That(AuditPublicKey.FromText(Key.Public.Text), Is.EqualTo(Key.Public));
        Assert.That(AuditPublicKey.FromText("x") ?? AuditPublicKey.FromText("AAAA"), Is.Null);
        Assert.That(AuditPublicKey.TryParse("x", out _, out _), Is.False);
        Assert.That(Key.Public.Id, Does.Match("^[0-9a-f]{16}$"));
    }

    [Test]
    public void A_line_of_a_checkpoint_is_read_in_one_form_only()
    {
        var signed = Key.Sign(Place, At);
        var line = System.Text.Encoding.UTF8.GetBytes(signed.ToLine());
        Assert.That(Checkpoint.TryReadLine(line, out var read));
        Assert.That(read, Is.EqualTo(signed));
        for (var i = 0; i < line.Length; i++)
        {
            foreach (var value in (byte[])[(byte)'0', (byte)' ', (byte)'"', (byte)'}', 0xFF])
            {
                var edited = line.ToArray();
                edited[i] = value;
                if (value != line[i] && Checkpoint.TryReadLine(edited, out var other))
                    Assert.That(Key.Public.Verifies(other), Is.False, $"{i} {value}");
            }
        }
    }
}
