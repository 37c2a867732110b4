using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

public class AuditKeyRotationTests
{
    private readonly AuditKey _old = AuditKey.Generate();
    private readonly AuditKey _next = AuditKey.Generate();

    [Test]
    public void A_key_with_the_outgoing_one_behind_it_has_it_sign()
    {
        Assert.That(AuditKey.TryParse(_next.ExportPem() + _old.ExportPem(), out var key, out _));
        Assert.That((key!.Public, key.Earlier.Single()), Is.EqualTo((_next.Public, _old.Public)));

        var read = Read(new AuditKeyRotation(_old.Public, key.Public, key.SignHandover(_old.Public, 8), 8), 8);
        Assert.That((read.IsSigned, read.From, read.To, read.Seq), Is.EqualTo((true, _old.Public, _next.Public, 8L)));
    }

    [Test]
    public void With_its_public_part_alone_nobody_signs()
    {
        Assert.That(AuditKey.TryParse(_next.ExportPem() + _old.Public.ExportPem(), out var key, out _));

        Assert.That(key!.SignHandover(_old.Public, 8), Is.Null);
        Assert.That(Read(new AuditKeyRotation(_old.Public, key.Public), 8).IsSigned, Is.False);
        Assert.That(key.TakingOverFrom(_old).SignHandover(_old.Public, 8), Is.Not.Null);
        Assert.That(key.TakingOverFrom(AuditKey.Generate()), Is.SameAs(key), "only one that it names");
    }

    [Test]
    public void A_signature_counts_for_its_keys_and_its_place_only()
    {
        var key = _next.After(_old.Public).TakingOverFrom(_old);
        var signature = key.SignHandover(_old.Public, 8);

        Assert.That(Read(new AuditKeyRotation(_old.Public, _next.Public, signature, 8), 8).IsSigned);
        Assert.That(Read(new AuditKeyRotation(_old.Public, _next.Public, signature, 8), 9).IsSigned, Is.False);
        Assert.That(Read(new AuditKeyRotation(_old.Public, AuditKey.Generate().Public, signature, 8), 8).IsSigned, Is.False);
        Assert.That(Read(new AuditKeyRotation(_old.Public, _next.Public, "AAAA", 8), 8).IsSigned, Is.False);
    }

    private static AuditKeyRotation Read(AuditKeyRotation handover, long seq) =>
        AuditKeyRotation.Read(LedgerEvent.Append(new LedgerPosition(seq - 1, LedgerEvent.NoHash), new DateTimeOffset(2026, 3, 1, 0, 0, 0, TimeSpan.Zero), handover.Draft()))!;
}
