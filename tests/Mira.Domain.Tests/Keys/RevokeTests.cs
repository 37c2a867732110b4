using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Keys;

public class RevokeTests
{
    [Test]
    public void Revoking_ends_every_secret_at_once()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 43_200);
        held.PassDays(1);

        held.Revoke(by: "mira_key_000000000001", reason: "leaked");

        Assert.That(held.Tokens.Select(token => held.Ask(token)), Is.All.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Revoked));
        Assert.That(held.Key.RevokedAt, Is.EqualTo(held.Now));
        Assert.That(held.Key.RevokedBy, Is.EqualTo("mira_key_000000000001"));
        Assert.That(held.Key.RevokedReason, Is.EqualTo("leaked"));
        Assert.That(held.Key.Version, Is.EqualTo(3));
    }

    [Test]
    public void Its_event_gives_the_reason_and_the_time()
    {
        var held = new KeyWithClock();
        held.Key.TakeEvents();

        held.Revoke(reason: "leaked");

        var happened = held.TakeOnlyEvent();
        Assert.That(happened.Type, Is.EqualTo(EventType.KeyRevoked));
        Assert.That(happened.Reason, Is.EqualTo("leaked"));
        Assert.That(Changes.Of(happened), Is.EqualTo(new[] { "revoked_at: null -> \"2026-03-01T12:00:00.000Z\"" }));
    }

    [Test]
    public void Revoking_again_changes_nothing()
    {
        var held = new KeyWithClock();
        held.Revoke(by: "mira_key_000000000001", reason: "leaked");
        held.Key.TakeEvents();
        held.PassDays(1);

        held.Revoke(by: "mira_key_000000000002", reason: "again");

        Assert.That(held.Key.RevokedAt, Is.EqualTo(KeyWithClock.Start));
        Assert.That(held.Key.RevokedBy, Is.EqualTo("mira_key_000000000001"));
        Assert.That(held.Key.RevokedReason, Is.EqualTo("leaked"));
        Assert.That(held.Key.Version, Is.EqualTo(2));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void The_last_active_admin_key_cannot_be_revoked()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Key.TakeEvents();

        Assert.That(() => held.Revoke(otherActiveAdmins: 0), Throws.TypeOf<LastAdminException>());

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Key.Version, Is.EqualTo(1));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void A_rotating_admin_key_counts_as_active()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Rotate();

        Assert.That(held.Key.IsActiveAdmin(held.Now));
        Assert.That(() => held.Revoke(otherActiveAdmins: 0), Throws.TypeOf<LastAdminException>());
    }

    [Test]
    public void An_admin_key_whose_current_secret_is_over_manages_nothing_and_is_not_the_last_one()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Rotate(43_200);
        held.Rotate(43_200, days: 1);
        Assert.That(held.Key.IsActiveAdmin(held.Now));
        held.PassDays(1);

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid), "its first secret works on");
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Rotating));
        Assert.That(held.Key.IsActiveAdmin(held.Now), Is.False);
        Assert.That(() => held.Revoke(otherActiveAdmins: 0), Throws.Nothing);
    }

    [Test]
    public void An_admin_key_can_be_revoked_while_another_works()
    {
        var held = new KeyWithClock(Role.Admin);

        held.Revoke(otherActiveAdmins: 1);

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Revoked));
    }

    [Test]
    public void A_key_of_another_role_can_be_revoked_whoever_is_left()
    {
        var held = new KeyWithClock(Role.Operator);

        held.Revoke(otherActiveAdmins: 0);

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Revoked));
    }

    [Test]
    public void An_admin_key_that_does_not_work_any_more_is_not_the_last_one()
    {
        var expired = new KeyWithClock(Role.Admin, days: 1);
        expired.PassDays(1);
        Assert.That(() => expired.Revoke(otherActiveAdmins: 0), Throws.Nothing);

        var disabled = new KeyWithClock(Role.Admin);
        disabled.Disable();
        Assert.That(() => disabled.Revoke(otherActiveAdmins: 0), Throws.Nothing);
    }

    [Test]
    public void Revoking_the_last_admin_again_is_no_refusal()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Revoke(otherActiveAdmins: 1);

        Assert.That(() => held.Revoke(otherActiveAdmins: 0), Throws.Nothing);
    }

    [Test]
    public void An_expired_key_can_be_revoked()
    {
        var held = new KeyWithClock(days: 1);
        held.PassDays(1);

        held.Revoke();

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));
    }
}
