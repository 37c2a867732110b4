using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

public class VerifyTests
{
    [Test]
    public void The_token_of_a_new_key_is_valid_and_names_its_secret()
    {
        var held = new KeyWithClock();

        var verdict = held.Verify(held.First);

        Assert.That(verdict.IsValid);
        Assert.That(verdict.Secret, Is.SameAs(held.Key.Current));
    }

    [Test]
    public void A_wrong_secret_is_an_invalid_key_and_names_no_secret()
    {
        var held = new KeyWithClock();

        var verdict = held.Verify(Token.Generate(held.Key.Id));

        Assert.That(verdict, Is.EqualTo(Verdict.Invalid));
        Assert.That(verdict.IsValid, Is.False);
        Assert.That(verdict.Secret, Is.Null);
    }

    [Test]
    public void A_wrong_secret_is_not_told_that_the_key_is_revoked()
    {
        var held = new KeyWithClock();
        held.Revoke();

        Assert.That(held.Ask(Token.Generate(held.Key.Id)), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void A_secret_works_until_just_before_it_expires()
    {
        var held = new KeyWithClock(days: 90);

        held.PassUntilJustBefore(KeyWithClock.Start.AddDays(90));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyExpired));
    }

    [Test]
    public void A_single_tick_decides_whether_a_secret_has_expired()
    {
        var held = new KeyWithClock(days: 1);
        var end = held.Key.Current.ExpiresAt!.Value;

        Assert.That(held.Key.Verify(held.First, held.Peppers, null, end.AddTicks(-1)).Code, Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.Verify(held.First, held.Peppers, null, end).Code, Is.EqualTo(VerdictCode.KeyExpired));
    }

    [Test]
    public void A_key_that_never_expires_works_after_a_century()
    {
        var held = new KeyWithClock(days: null);

        held.PassDays(36_525);

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.LapsesAt, Is.Null);
    }

    [Test]
    public void A_superseded_secret_is_valid_and_known_as_superseded()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);

        var verdict = held.Verify(held.First);

        Assert.That(verdict.Code, Is.EqualTo(VerdictCode.Valid));
        Assert.That(verdict.Secret!.IsSuperseded);
        Assert.That(verdict.Secret.ValidUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(60)));
        Assert.That(held.Verify(held.Second).Secret!.IsSuperseded, Is.False);
    }

    [Test]
    public void Revoked_is_told_before_rotated_out()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 0);
        held.Revoke();

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public void Rotated_out_is_told_before_expired()
    {
        var held = new KeyWithClock(days: 30);
        held.Rotate(graceMinutes: 60);
        held.PassDays(31);

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRotatedOut));
        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.KeyExpired));
    }

    [Test]
    public void Expired_is_told_before_disabled()
    {
        var held = new KeyWithClock(days: 30);
        held.Disable();
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyDisabled));

        held.PassDays(30);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyExpired));
    }

    [Test]
    public void Disabled_is_told_before_the_address()
    {
        var held = From("203.0.113.0/24");
        Assert.That(held.Ask(held.First, "198.51.100.1"), Is.EqualTo(VerdictCode.IpNotAllowed));

        held.Disable();
        Assert.That(held.Ask(held.First, "198.51.100.1"), Is.EqualTo(VerdictCode.KeyDisabled));
    }

    [Test]
    public void Every_refusal_of_a_right_secret_names_it()
    {
        var held = From("203.0.113.7");
        Assert.That(held.Verify(held.First).Secret, Is.Not.Null);

        held.Revoke();
        Assert.That(held.Verify(held.First).Secret, Is.Not.Null);
    }

    [Test]
    public void A_key_without_ranges_works_from_everywhere_and_from_an_unknown_address()
    {
        var held = new KeyWithClock();

        Assert.That(held.Ask(held.First, "203.0.113.7"), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(held.First, from: null), Is.EqualTo(VerdictCode.Valid));
    }

    [TestCase("203.0.113.7", VerdictCode.Valid)]
    [TestCase("::ffff:203.0.113.7", VerdictCode.Valid)]
    [TestCase("2001:db8::9", VerdictCode.Valid)]
    [TestCase("203.0.114.7", VerdictCode.IpNotAllowed)]
    [TestCase("2001:db9::9", VerdictCode.IpNotAllowed)]
    [TestCase(null, VerdictCode.IpNotAllowed)]
    public void A_key_with_ranges_works_from_any_of_them_only(string? from, VerdictCode expected)
    {
        var held = From("203.0.113.0/24", "2001:db8::/32");

        Assert.That(held.Ask(held.First, from), Is.EqualTo(expected));
    }

    [Test]
    public void A_digest_under_a_retired_pepper_is_accepted()
    {
        var held = new KeyWithClock();
        held.Peppers = new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1));

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(Token.Generate(held.Key.Id)), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void A_digest_under_a_pepper_that_is_not_listed_is_an_invalid_key()
    {
        var held = new KeyWithClock();
        held.Peppers = new PepperRing(HeldKey.PepperOf(2));

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void Secrets_under_different_peppers_work_side_by_side()
    {
        var held = new KeyWithClock();
        held.Peppers = new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1));
        held.Rotate();
        held.Peppers = new PepperRing(HeldKey.PepperOf(3), HeldKey.PepperOf(2), HeldKey.PepperOf(1));
        held.Rotate();

        Assert.That(held.Key.Secrets.Select(secret => secret.PepperId).Distinct().Count(), Is.EqualTo(3));
        Assert.That(held.Tokens.Select(token => held.Ask(token)), Is.All.EqualTo(VerdictCode.Valid));

        held.Peppers = new PepperRing(HeldKey.PepperOf(3), HeldKey.PepperOf(1));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(held.Ask(held.Third), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public void The_token_of_another_key_is_an_invalid_key()
    {
        var held = new KeyWithClock();

        Assert.That(held.Ask(new KeyWithClock().First), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [TestCase(VerdictCode.Valid, "valid")]
    [TestCase(VerdictCode.InvalidKey, "invalid_key")]
    [TestCase(VerdictCode.KeyRevoked, "key_revoked")]
    [TestCase(VerdictCode.KeyRotatedOut, "key_rotated_out")]
    [TestCase(VerdictCode.KeyExpired, "key_expired")]
    [TestCase(VerdictCode.KeyDisabled, "key_disabled")]
    [TestCase(VerdictCode.IpNotAllowed, "ip_not_allowed")]
    [TestCase(VerdictCode.InsufficientPermission, "insufficient_permission")]
    public void A_verdict_has_the_name_of_the_contract(VerdictCode code, string name) => Assert.That(code.Name(), Is.EqualTo(name));

    private static KeyWithClock From(params string[] ranges) => new(KeyWithClock.Terms() with
    {
        AllowedIps = [.. ranges.Select(text => IpRange.TryParse(text, out var range) ? range : throw new FormatException(text))],
    });
}
