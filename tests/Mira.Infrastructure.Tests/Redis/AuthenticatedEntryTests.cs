using Mira.Application.Verification;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Redis;

namespace Mira.Infrastructure.Tests.Redis;

public class AuthenticatedEntryTests
{
    private static readonly AuthenticatedEntry Seal = new(HeldKey.Peppers);

    private readonly HeldKey _held = new();

    [Test]
    public void What_a_node_sealed_another_one_opens()
    {
        var opened = new AuthenticatedEntry(new PepperRing(HeldKey.PepperOf(1))).Open(_held.Id, "e", Sealed());

        Assert.That(opened.IsForged, Is.False);
        Assert.That(opened.Entry!.AsOf, Is.EqualTo(7));
        Assert.That(opened.Entry.Id, Is.EqualTo(_held.Id));
        Assert.That(opened.Entry.Key!.Verify(_held.Token, HeldKey.Peppers, null, HeldKey.Start).IsValid);
    }

    [Test]
    public void A_flipped_bit_anywhere_is_not_believed()
    {
        var entry = Sealed();
        for (var i = 0; i < entry.Length; i++)
        {
            entry[i] ^= 1;
            var opened = Seal.Open(_held.Id, "e", entry);
            Assert.That(opened.Entry, Is.Null, $"byte {i}");
            // The first eight name the pepper: one that is not listed is none of ours, and no forgery.
            Assert.That(opened.IsForged, Is.EqualTo(i >= 8), $"byte {i}");
            entry[i] ^= 1;
        }
    }

    [Test]
    public void Another_keys_entry_another_epochs_and_a_torn_one_are_not_believed()
    {
        var entry = Sealed();
        Assert.That(Seal.Open(new HeldKey().Id, "e", entry).IsForged);
        Assert.That(Seal.Open(_held.Id, "f", entry).IsForged);
        Assert.That(Seal.Open(_held.Id, "e", entry[..^1]).IsForged);
        Assert.That(Seal.Open(_held.Id, "e", [.. entry, 0]).IsForged);
        Assert.That(Seal.Open(_held.Id, "e", entry[..47]).IsForged);
        Assert.That(Seal.Open(_held.Id, "e", []).IsForged);
    }

    [Test]
    public void One_under_a_pepper_that_is_not_listed_is_none()
    {
        var opened = new AuthenticatedEntry(new PepperRing(HeldKey.PepperOf(2))).Open(_held.Id, "e", Sealed());
        Assert.That((opened.Entry, opened.IsForged), Is.EqualTo(((object?)null, false)));
    }

    [Test]
    public void One_under_a_retired_pepper_is_opened() =>
        Assert.That(new AuthenticatedEntry(new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1))).Open(_held.Id, "e", Sealed()).Entry, Is.Not.Null);

    [Test]
    public void No_token_is_in_it() => Assert.That(System.Text.Encoding.UTF8.GetString(Sealed()), Does.Not.Contain(_held.Token.Reveal()[22..65]));

    private byte[] Sealed() => Seal.Seal(new KeyEntry(_held.Id, _held.Key, 7, 1), _held.Key, "e");
}
