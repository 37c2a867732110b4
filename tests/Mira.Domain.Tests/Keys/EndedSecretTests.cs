using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

public class EndedSecretTests
{
    [Test]
    public void The_holder_of_an_ended_secret_is_told_why_for_90_days()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);
        var forgotten = KeyWithClock.Start.AddMinutes(60).AddDays(90);

        held.PassUntilJustBefore(forgotten);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRotatedOut));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void The_holder_of_a_revoked_key_is_told_so_for_90_days()
    {
        var held = new KeyWithClock(days: null);
        held.PassDays(5);
        held.Revoke();

        held.PassUntilJustBefore(KeyWithClock.Start.AddDays(95));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void A_secret_that_expired_before_the_key_was_revoked_is_remembered_from_its_own_end()
    {
        var held = new KeyWithClock(days: 1);
        held.PassDays(80);
        held.Revoke();
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));

        held.PassUntilJustBefore(KeyWithClock.Start.AddDays(91));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));
        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
    }

    [Test]
    public void The_five_most_recently_ended_secrets_are_remembered()
    {
        var held = new KeyWithClock();
        for (var i = 0; i < 5; i++)
        {
            held.Rotate(graceMinutes: 0);
            held.PassMinutes(1);
        }

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRotatedOut));

        held.Rotate(graceMinutes: 0);

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.KeyRotatedOut));
        Assert.That(held.Key.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 2, 3, 4, 5, 6, 7 }));
    }

    [Test]
    public void Of_secrets_that_ended_at_one_moment_the_newest_are_remembered()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 0);
        for (var i = 0; i < 3; i++)
        {
            held.PassMinutes(1);
            held.Rotate(graceMinutes: 0);
        }

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.KeyRotatedOut));
    }

    [Test]
    public void The_most_recently_ended_are_remembered_whatever_their_age()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 0);
        held.Rotate(graceMinutes: 1000);
        for (var i = 0; i < 4; i++)
        {
            held.Rotate(graceMinutes: 1);
            held.PassMinutes(1);
        }

        held.PassMinutes(1000);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.InvalidKey), "the sixth");
        VerdictCode[] before = [.. held.Tokens.Skip(1).Select(token => held.Ask(token))];
        Assert.That(before.SkipLast(1), Is.All.EqualTo(VerdictCode.KeyRotatedOut));

        held.Rotate(graceMinutes: 60);

        Assert.That(held.Tokens.Skip(1).SkipLast(2).Select(token => held.Ask(token)), Is.All.EqualTo(VerdictCode.KeyRotatedOut));
        Assert.That(held.Key.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 2, 3, 4, 5, 6, 7, 8 }));
    }

    [Test]
    public void A_secret_that_works_is_always_remembered()
    {
        var held = new KeyWithClock(days: null);
        held.Rotate(graceMinutes: 43_200);
        for (var i = 0; i < 8; i++)
        {
            held.Rotate(graceMinutes: 1);
            held.PassMinutes(1);
        }

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.IsRemembered(held.Key.Secrets[0], held.Now));
        Assert.That(held.Key.IsRemembered(held.Key.Current, held.Now));
    }

    [Test]
    public void Rotating_drops_what_is_not_remembered_any_more()
    {
        var held = new KeyWithClock(days: null);
        held.Rotate(graceMinutes: 0);
        held.PassDays(90);
        Assert.That(held.Key.IsRemembered(held.Key.Secrets[0], held.Now), Is.False);

        held.Rotate(graceMinutes: 0);

        Assert.That(held.Key.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 2, 3 }));
    }
}
