using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Keys;

/// <summary>A key whose record lies where others can write, and did.</summary>
public class QuarantineTests
{
    private static readonly FieldChange[] Changes = [FieldChange.Of("role", "operator", "admin")];

    [Test]
    public void A_withheld_key_lets_nobody_in_and_shows_as_disabled()
    {
        var held = Withheld();

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Disabled));
    }

    [Test]
    public void Withholding_is_a_violation_that_says_what_was_found_and_no_change_of_the_key()
    {
        var held = new KeyWithClock();
        held.Key.TakeEvents();

        Assert.That(held.Key.Quarantine("row_edited", Changes), Is.True);

        var happened = held.TakeOnlyEvent();
        Assert.That((happened.Type, happened.Reason, happened.Outcome), Is.EqualTo((EventType.IntegrityViolation, "row_edited", "failure")));
        Assert.That(happened.Changes, Is.EqualTo(Changes));
        Assert.That(held.Key.Version, Is.EqualTo(1));
    }

    [Test]
    public void What_is_withheld_already_is_not_withheld_again()
    {
        var held = Withheld();

        Assert.That(held.Key.Quarantine("row_missing", []), Is.False);
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void A_revoked_key_is_not_withheld_because_it_is_over()
    {
        var held = new KeyWithClock();
        held.Revoke();
        held.Key.TakeEvents();

        Assert.That(held.Key.Quarantine("row_edited", Changes), Is.False);
        Assert.That(held.Key.IsQuarantined, Is.False);
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public void Releasing_lets_it_in_again_and_is_recorded_once()
    {
        var held = Withheld();

        held.Key.Release("row_restored");
        held.Key.Release("row_restored");

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        var happened = held.TakeOnlyEvent();
        Assert.That((happened.Type, happened.Reason, happened.Outcome), Is.EqualTo((EventType.IntegrityViolation, "row_restored", "success")));
        Assert.That(held.Key.Version, Is.EqualTo(1));
    }

    [Test]
    public void A_rotation_mends_it()
    {
        var held = Withheld();

        held.Rotate();

        Assert.That(held.Ask(held.Second), Is.EqualTo(VerdictCode.Valid));
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid), "within its grace");
        Assert.That(Fields(held.TakeOnlyEvent()), Does.Contain("withheld"));
    }

    [Test]
    public void An_update_that_asks_for_nothing_mends_it_and_is_a_change()
    {
        var held = Withheld();

        held.Update(new KeyUpdate());

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
        var happened = held.TakeOnlyEvent();
        Assert.That((happened.Type, string.Join(',', Fields(happened))), Is.EqualTo((EventType.KeyUpdated, "withheld")));
        Assert.That(held.Key.Version, Is.EqualTo(2));
    }

    [Test]
    public void It_can_be_revoked()
    {
        var held = Withheld();

        held.Revoke();

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public void One_that_is_disabled_as_well_cannot_be_rotated()
    {
        var held = Withheld();
        held.Disable();
        held.Key.Quarantine("row_edited", Changes);

        Assert.That(() => held.Rotate(), Throws.TypeOf<KeyNotActiveException>().With.Property("Status").EqualTo(KeyStatus.Disabled));
    }

    [Test]
    public void A_withheld_admin_does_not_count_as_one_that_works()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Key.Quarantine("row_edited", Changes);

        Assert.That(held.Key.IsActiveAdmin(held.Now), Is.False);
    }

    [Test]
    public void A_doubted_key_lets_nobody_in_and_manages_nothing()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Key.Doubt();

        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyDisabled));
        Assert.That(held.Status, Is.EqualTo(KeyStatus.Disabled));
        Assert.That(held.Key.IsActiveAdmin(held.Now), Is.False);
        Assert.That(KeyRecord.Of(held.Key).ToKey().IsDoubted, Is.False, "it is no state of the key");
    }

    [Test]
    public void An_imported_key_is_as_its_record_says_and_has_come_into_being_here()
    {
        var held = new KeyWithClock(Role.Admin, days: null);
        held.Rotate();
        held.PassMinutes(5);

        var imported = ApiKey.Import(KeyRecord.Of(held.Key), "found in Airtable");

        Assert.That((imported.Id, imported.Version, imported.Secrets.Count), Is.EqualTo((held.Key.Id, 2, 2)));
        Assert.That(imported.Verify(held.Second, held.Peppers, null, held.Now).Code, Is.EqualTo(VerdictCode.Valid));
        var happened = imported.TakeEvents().Single();
        Assert.That((happened.Type, happened.Reason), Is.EqualTo((EventType.KeyCreated, "found in Airtable")));
    }

    private static KeyWithClock Withheld()
    {
        var held = new KeyWithClock();
        held.Key.Quarantine("row_edited", Changes);
        held.Key.TakeEvents();
        return held;
    }

    private static IEnumerable<string> Fields(KeyEvent happened) => happened.Changes.Select(change => change.Field);
}
