using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

public class StatusTests
{
    [Test]
    public void A_key_is_rotating_while_a_superseded_secret_works_and_then_active()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 60);

        held.PassUntilJustBefore(KeyWithClock.Start.AddMinutes(60));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Rotating));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Active));
    }

    [Test]
    public void A_key_is_not_rotating_after_a_rotation_without_grace()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 0);

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Active));
    }

    [Test]
    public void A_key_rotates_until_the_last_superseded_secret_ends()
    {
        var held = new KeyWithClock();
        held.Rotate(graceMinutes: 120);
        held.Rotate(graceMinutes: 60);

        Assert.That(held.Key.RotatingUntil, Is.EqualTo(KeyWithClock.Start.AddMinutes(120)));
    }

    [Test]
    public void Disabled_comes_before_rotating()
    {
        var held = new KeyWithClock();
        held.Rotate();
        held.Disable();

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Disabled));
    }

    [Test]
    public void Expired_comes_before_disabled()
    {
        var held = new KeyWithClock(days: 1);
        held.Disable();

        held.PassUntilJustBefore(KeyWithClock.Start.AddDays(1));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Disabled));

        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Expired));
    }

    [Test]
    public void Revoked_comes_before_expired()
    {
        var held = new KeyWithClock(days: 1);
        held.Revoke();
        held.PassDays(1);

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Revoked));
    }

    [Test]
    public void A_key_lapses_when_the_last_of_its_secrets_ends()
    {
        var held = new KeyWithClock(days: 90);
        held.Rotate(graceMinutes: 43_200);
        held.Rotate(graceMinutes: 60, days: 1);

        Assert.That(held.Key.LapsesAt, Is.EqualTo(KeyWithClock.Start.AddMinutes(43_200)));
        held.PassUntilJustBefore(KeyWithClock.Start.AddMinutes(43_200));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Rotating));
        held.Pass(KeyWithClock.Instant);
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Expired));
    }

    [TestCase(KeyStatus.Revoked, "revoked")]
    [TestCase(KeyStatus.Expired, "expired")]
    [TestCase(KeyStatus.Disabled, "disabled")]
    [TestCase(KeyStatus.Rotating, "rotating")]
    [TestCase(KeyStatus.Active, "active")]
    public void A_status_is_read_by_the_name_it_is_written_with(KeyStatus status, string name)
    {
        Assert.That(status.Name(), Is.EqualTo(name));
        Assert.That(KeyStatuses.TryParse(name, out var read));
        Assert.That(read, Is.EqualTo(status));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("Active")]
    [TestCase("active ")]
    [TestCase("4")]
    public void Nothing_else_is_a_status(string? name) => Assert.That(KeyStatuses.TryParse(name, out _), Is.False);
}
