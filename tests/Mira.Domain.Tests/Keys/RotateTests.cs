using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Keys;

public class RotateTests
{
    [Test]
    public void Rotating_keeps_the_old_secret_working_until_grace_ends()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);

        held.PassUntilJustBefore(KeyWithClock.Start.AddMinutes(60));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRotatedOut));
        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public void The_new_secret_is_the_current_one_and_has_the_next_number()
    {
        var held = new KeyWithClock();
        held.PassDays(1);
        held.Rotate();

        Assert.That(held.Key.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 1, 2 }));
        Assert.That(held.Key.Current.Version, Is.EqualTo(2));
        Assert.That(held.Key.Current.ValidUntil, Is.Null);
        Assert.That(held.Key.Current.CreatedAt, Is.EqualTo(held.Now));
        Assert.That(held.Key.RotatedAt, Is.EqualTo(held.Now));
        Assert.That(held.Key.CreatedAt, Is.EqualTo(KeyWithClock.Start));
        Assert.That(held.Key.Version, Is.EqualTo(2));
    }

    [Test]
    public void Its_event_gives_both_secrets_numbers_and_ends()
    {
        var held = new KeyWithClock(days: 90);
        held.Key.TakeEvents();
        held.PassDays(1);
        held.Rotate(graceMinutes: 60, days: 7);

        var happened = held.TakeOnlyEvent();
        Assert.That(happened.Type, Is.EqualTo(EventType.KeyRotated));
        Assert.That(happened.Reason, Is.Null);
        Assert.That(Changes.Of(happened), Is.EqualTo(new[]
        {
            "secret_version: 1 -> 2",
            "expires_at: \"2026-05-30T12:00:00.000Z\" -> \"2026-03-09T12:00:00.000Z\"",
            "previous_valid_until: null -> \"2026-03-02T13:00:00.000Z\"",
        }));
    }

    [Test]
    public void The_old_secret_works_no_longer_than_it_was_meant_to()
    {
        var held = new KeyWithClock(days: 1);
        var ownExpiry = held.Key.Current.ExpiresAt!.Value;
        held.Pass(TimeSpan.FromHours(23));
        held.Rotate(graceMinutes: 120);

        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(ownExpiry));
        held.PassUntilJustBefore(ownExpiry);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRotatedOut));
    }

    [Test]
    public void The_old_secret_works_no_longer_than_the_new_one()
    {
        var held = new KeyWithClock(days: null);
        held.Rotate(graceMinutes: 43_200, days: 1);

        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddDays(1)));
        Assert.That(held.Key.Current.ExpiresAt, Is.EqualTo(KeyWithClock.Start.AddDays(1)));
    }

    [Test]
    public void Rotating_without_grace_ends_every_older_secret_at_once()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 43_200);
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 0);

        Assert.That(held.Tokens.SkipLast(1).Select(token => held.Ask(token)), Is.All.EqualTo(VerdictCode.KeyRotatedOut));
        Assert.That(held.Ask(held.Newest), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.Secrets.SkipLast(1).Select(secret => secret.ValidUntil), Is.All.EqualTo(held.Now));
    }

    [Test]
    public void Rotating_without_grace_leaves_the_end_of_a_secret_that_ended_before()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 1);
        held.PassDays(1);
        held.Rotate(graceMinutes: 0);

        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(1)));
    }

    [TestCase(1, null, TestName = "A second rotation with a shorter grace never shortens the first deadline")]
    [TestCase(43_200, 1, TestName = "A second rotation with a shorter lifetime never shortens the first deadline")]
    public void A_second_rotation_never_shortens_the_first_deadline(int graceMinutes, int? days)
    {
        var held = new KeyWithClock(days: 90);
        held.Rotate(graceMinutes: 43_200);
        held.Rotate(graceMinutes, days);

        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(43_200)));
        held.PassUntilJustBefore(KeyWithClock.Start.AddMinutes(43_200));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public void A_second_rotation_never_prolongs_the_first_deadline()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 1);
        held.Rotate(graceMinutes: 43_200);

        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(1)));
    }

    [Test]
    public void A_fourth_secret_is_refused_while_three_work_and_nothing_changes()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 60);
        var version = held.Key.Version;
        held.Key.TakeEvents();
        held.PassUntilJustBefore(KeyWithClock.Start.AddMinutes(60));

        Assert.That(() => held.Rotate(graceMinutes: 60, days: 7), Throws.TypeOf<TooManyLiveSecretsException>());

        Assert.That(held.Key.Version, Is.EqualTo(version));
        Assert.That(held.Key.Secrets, Has.Count.EqualTo(3));
        Assert.That(held.Key.Current.ValidUntil, Is.Null);
        Assert.That(held.Key.LifetimeDays, Is.EqualTo(90));
        Assert.That(held.Key.RotatedAt, Is.EqualTo(KeyWithClock.Start));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void A_secret_that_ended_makes_room_for_another()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 60);
        held.PassMinutes(60);

        held.Rotate(graceMinutes: 60);

        Assert.That(held.Ask(held.Third), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(held.Newest), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public void Rotating_without_grace_is_possible_while_three_work()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);
        held.Rotate(graceMinutes: 60);

        held.Rotate(graceMinutes: 0);

        Assert.That(held.Tokens.Count(token => held.Ask(token) == VerdictCode.Valid), Is.EqualTo(1));
    }

    [Test]
    public void The_new_secret_gets_the_original_lifetime_again()
    {
        var held = new KeyWithClock(days: 30);
        held.PassDays(20);
        held.Rotate();

        Assert.That(held.Key.Current.ExpiresAt, Is.EqualTo(KeyWithClock.Start.AddDays(50)));
        Assert.That(held.Key.LifetimeDays, Is.EqualTo(30));
    }

    [Test]
    public void A_lifetime_given_at_a_rotation_is_the_keys_from_then_on()
    {
        var held = new KeyWithClock(days: 30);
        held.Rotate(graceMinutes: 0, days: 7);
        Assert.That(held.Key.Current.ExpiresAt, Is.EqualTo(KeyWithClock.Start.AddDays(7)));

        held.PassDays(1);
        held.Rotate(graceMinutes: 0);
        Assert.That(held.Key.Current.ExpiresAt, Is.EqualTo(KeyWithClock.Start.AddDays(8)));
        Assert.That(held.Key.LifetimeDays, Is.EqualTo(7));
    }

    [Test]
    public void A_key_that_never_expires_does_not_after_a_rotation_either()
    {
        var held = new KeyWithClock(days: null);
        held.Rotate(graceMinutes: 60);

        Assert.That(held.Key.Current.ExpiresAt, Is.Null);
        Assert.That(held.Key.Secrets[0].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(60)));
        Assert.That(held.Key.LapsesAt, Is.Null);
    }

    [Test]
    public void A_revoked_key_cannot_be_rotated()
    {
        var held = new KeyWithClock();
        held.Revoke();

        Assert.That(() => held.Rotate(), NotActive(KeyStatus.Revoked));
    }

    [Test]
    public void An_expired_key_cannot_be_rotated()
    {
        var held = new KeyWithClock(days: 1);
        held.PassUntilJustBefore(KeyWithClock.Start.AddDays(1));
        Assert.That(() => held.Rotate(), Throws.Nothing);

        var late = new KeyWithClock(days: 1);
        late.PassDays(1);
        Assert.That(() => late.Rotate(), NotActive(KeyStatus.Expired));
    }

    [Test]
    public void A_disabled_key_cannot_be_rotated_until_it_is_enabled()
    {
        var held = new KeyWithClock();
        held.Disable();
        Assert.That(() => held.Rotate(), NotActive(KeyStatus.Disabled));

        held.Enable();
        Assert.That(() => held.Rotate(), Throws.Nothing);
    }

    [Test]
    public void A_key_whose_current_secret_expired_can_be_rotated_while_an_older_one_works()
    {
        var held = new KeyWithClock(days: 90);
        held.Rotate(graceMinutes: 43_200);
        held.Rotate(graceMinutes: 60, days: 1);
        held.PassDays(2);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(held.Third), Is.EqualTo(VerdictCode.KeyExpired));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Rotating));

        held.Rotate(graceMinutes: 60);

        Assert.That(held.Ask(held.Newest), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.Secrets[2].ValidUntil, Is.EqualTo(KeyWithClock.Start.AddDays(1)), "no secret comes back to life");
        Assert.That(held.Ask(held.Third), Is.EqualTo(VerdictCode.KeyRotatedOut));
    }

    private static NUnit.Framework.Constraints.EqualConstraint<KeyStatus> NotActive(KeyStatus status) =>
        Throws.TypeOf<KeyNotActiveException>().With.Property(nameof(KeyNotActiveException.Status)).EqualTo(status);
}
