using System.Text;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Tokens;

public class PepperTests
{
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    // Computed with Python's hashlib: sha256(b"mira-pepper-id" + bytes(range(32))).
    [Test]
    public void Its_id_is_the_start_of_a_hash() => Assert.That(new Pepper(Secret).Id, Is.EqualTo("2bc4c872"));

    // Computed with Python's hmac over the hash of TokenTests.Worked.
    [Test]
    public void A_digest_is_the_HMAC_of_a_tokens_hash()
    {
        Assert.That(Token.TryParse(TokenTests.Worked, out var token));

        var seal = new PepperRing(new Pepper(Secret)).Seal(token);

        Assert.That(seal.PepperId, Is.EqualTo("2bc4c872"));
        Assert.That(
            Convert.ToHexStringLower(seal.Digest.ToArray()),
            Is.EqualTo("292137aefb9193d5cc4477fc8848f8689ff5941d3f7370fcd774a95f25f7e510"));
    }

    [TestCase(0)]
    [TestCase(31)]
    public void A_shorter_one_than_32_bytes_is_refused(int size) =>
        Assert.That(() => new Pepper(new byte[size]), Throws.ArgumentException.With.Message.Contains("32 bytes"));

    [Test]
    public void A_longer_one_counts_whole()
    {
        byte[] longer = [.. Secret, 32];

        Assert.That(new Pepper(longer).Id, Is.Not.EqualTo(new Pepper(Secret).Id));
        Assert.That(new Pepper(longer).Digest(Secret).ToArray(), Is.Not.EqualTo(new Pepper(Secret).Digest(Secret).ToArray()));
    }

    [Test]
    public void It_does_not_change_with_the_bytes_it_was_made_from()
    {
        byte[] bytes = [.. Secret];
        var pepper = new Pepper(bytes);
        Array.Clear(bytes);

        Assert.That(pepper.Digest(Secret).ToArray(), Is.EqualTo(new Pepper(Secret).Digest(Secret).ToArray()));
    }

    [Test]
    public void Its_text_shows_the_id_and_not_the_secret()
    {
        var secret = Encoding.ASCII.GetBytes("a pepper of 32 letters and digits");

        var text = new Pepper(secret).ToString();

        Assert.That(text, Is.EqualTo($"pepper {new Pepper(secret).Id}"));
        Assert.That(text, Does.Not.Contain("letters").And.Not.Contain(Convert.ToBase64String(secret)).And.Not.Contain(Convert.ToHexStringLower(secret)));
    }
}

public class PepperRingTests
{
    private static readonly Pepper One = new(Enumerable.Repeat((byte)1, 32).ToArray());
    private static readonly Pepper Two = new(Enumerable.Repeat((byte)2, 32).ToArray());
    private static readonly Pepper Three = new(Enumerable.Repeat((byte)3, 32).ToArray());

    [Test]
    public void It_finds_the_current_and_the_retired_ones_and_no_other()
    {
        var ring = new PepperRing(One, Two);

        Assert.That(ring.Current, Is.SameAs(One));
        Assert.That(ring.Find(One.Id), Is.SameAs(One));
        Assert.That(ring.Find(Two.Id), Is.SameAs(Two));
        Assert.That(ring.Find(Three.Id), Is.Null);
    }

    [Test]
    public void What_is_listed_twice_is_there_once() => Assert.That(new PepperRing(One, Two, One, Two).All, Is.EqualTo(new[] { One, Two }));

    [Test]
    public void It_seals_under_the_current_one()
    {
        var token = Token.Generate(KeyId.Generate());

        var seal = new PepperRing(One, Two).Seal(token);

        Assert.That(seal.PepperId, Is.EqualTo(One.Id));
        Assert.That(seal.Digest.ToArray(), Is.EqualTo(new PepperRing(One).Seal(token).Digest.ToArray()));
        Assert.That(seal.Digest.ToArray(), Is.Not.EqualTo(new PepperRing(Two).Seal(token).Digest.ToArray()));
    }

    // That it compares as well is read from its code: DigestComparisonTests.
    [Test]
    public void It_matches_nothing_for_any_token() =>
        Assert.That(() => new PepperRing(One).MatchNothing(Token.Generate(KeyId.Generate())), Throws.Nothing);
}

public class DigestTests
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(100, 32).Select(i => (byte)i)];

    [Test]
    public void It_gives_back_the_bytes_it_was_made_from()
    {
        Assert.That(Digest.From(Bytes).ToArray(), Is.EqualTo(Bytes));
    }

    [Test]
    public void It_gives_back_a_copy()
    {
        var digest = Digest.From(Bytes);
        digest.ToArray()[0] = 0;

        Assert.That(digest.ToArray(), Is.EqualTo(Bytes));
    }

    [TestCase(0)]
    [TestCase(31)]
    [TestCase(33)]
    public void Another_size_than_32_bytes_is_refused(int size) => Assert.That(() => Digest.From(new byte[size]), Throws.ArgumentException);

    [Test]
    public void Two_of_the_same_bytes_are_equal() => Assert.That(Digest.FixedTimeEquals(Digest.From(Bytes), Digest.From([.. Bytes])));

    [Test]
    public void Two_that_differ_in_any_one_bit_are_not()
    {
        var digest = Digest.From(Bytes);
        for (var bit = 0; bit < Bytes.Length * 8; bit++)
        {
            byte[] other = [.. Bytes];
            other[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.That(Digest.FixedTimeEquals(digest, Digest.From(other)), Is.False, $"bit {bit}");
        }
    }

    [Test]
    public void Its_text_is_not_its_bytes() => Assert.That(Digest.From(Bytes).ToString(), Does.Not.Contain(Convert.ToHexString(Bytes)).IgnoreCase);
}
