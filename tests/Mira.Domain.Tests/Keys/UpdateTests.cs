using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Keys;

public class UpdateTests
{
    private static readonly KeyTerms Full = KeyWithClock.Terms() with
    {
        Owner = "ada",
        Permissions = ["documents:read"],
        Metadata = new Dictionary<string, string> { ["team"] = "payments" },
        RateLimitPerMinute = 7,
        AllowedIps = [Range("203.0.113.0/24")],
    };

    [Test]
    public void What_is_absent_stays()
    {
        var held = Created(Full);

        held.Update(new KeyUpdate { Name = "invoices" });

        Assert.That(held.Key.Name, Is.EqualTo("invoices"));
        Assert.That(held.Key.Role, Is.EqualTo(Role.Operator));
        Assert.That(held.Key.Owner, Is.EqualTo("ada"));
        Assert.That(held.Key.FreePermissions, Is.EqualTo(Full.Permissions));
        Assert.That(held.Key.Metadata, Is.EqualTo(Full.Metadata));
        Assert.That(held.Key.RateLimitPerMinute, Is.EqualTo(7));
        Assert.That(held.Key.AllowedIps, Is.EqualTo(Full.AllowedIps));
        Assert.That(held.Key.IsDisabled, Is.False);
        Assert.That(held.Key.Version, Is.EqualTo(2));
    }

    [Test]
    public void What_is_null_or_empty_is_cleared()
    {
        var held = Created(Full);

        held.Update(new KeyUpdate
        {
            Owner = (string?)null,
            RateLimitPerMinute = (int?)null,
            Permissions = new Optional<IReadOnlyList<string>>([]),
            Metadata = new Optional<IReadOnlyDictionary<string, string>>(Metadata.Empty),
            AllowedIps = new Optional<IReadOnlyList<IpRange>>([]),
        });

        Assert.That(held.Key.Owner, Is.Null);
        Assert.That(held.Key.RateLimitPerMinute, Is.Null);
        Assert.That(held.Key.FreePermissions, Is.Empty);
        Assert.That(held.Key.Metadata, Is.Empty);
        Assert.That(held.Key.AllowedIps, Is.Empty);
    }

    [Test]
    public void An_update_is_one_event_with_each_field_before_and_after()
    {
        var held = Created(Full);

        held.Update(new KeyUpdate
        {
            Name = "invoices",
            Role = Role.Admin,
            Owner = "grace",
            Permissions = new Optional<IReadOnlyList<string>>(["tickets:read", "documents:read", "tickets:read"]),
            Metadata = new Optional<IReadOnlyDictionary<string, string>>(new Dictionary<string, string> { ["team"] = "tax" }),
            RateLimitPerMinute = 8,
            AllowedIps = new Optional<IReadOnlyList<IpRange>>([Range("2001:db8::/32"), Range("2001:db8::/32")]),
        });

        var happened = held.TakeOnlyEvent();
        Assert.That(happened.Type, Is.EqualTo(EventType.KeyUpdated));
        Assert.That(happened.Reason, Is.Null);
        Assert.That(Changes.Of(happened), Is.EqualTo(new[]
        {
            "name: \"billing\" -> \"invoices\"",
            "role: \"operator\" -> \"admin\"",
            "owner: \"ada\" -> \"grace\"",
            "permissions: [\"documents:read\"] -> [\"documents:read\",\"tickets:read\"]",
            "metadata: {\"team\":\"payments\"} -> {\"team\":\"tax\"}",
            "rate_limit_per_minute: 7 -> 8",
            "allowed_ips: [\"203.0.113.0/24\"] -> [\"2001:db8::/32\"]",
        }));
        Assert.That(held.Key.Version, Is.EqualTo(2));
    }

    [Test]
    public void An_update_that_changes_nothing_is_no_version_and_no_event()
    {
        var held = Created(Full);

        held.Update(new KeyUpdate());
        held.Update(new KeyUpdate
        {
            Name = Full.Name,
            Role = Full.Role,
            Owner = Full.Owner,
            Permissions = new Optional<IReadOnlyList<string>>(["documents:read", "documents:read"]),
            Metadata = new Optional<IReadOnlyDictionary<string, string>>(new Dictionary<string, string> { ["team"] = "payments" }),
            RateLimitPerMinute = 7,
            AllowedIps = new Optional<IReadOnlyList<IpRange>>([Range("203.0.113.99/24")]),
            Disabled = false,
        });

        Assert.That(held.Key.Version, Is.EqualTo(1));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void The_order_of_permissions_is_no_change()
    {
        var held = Created(KeyWithClock.Terms() with { Permissions = ["documents:read", "tickets:read"] });

        held.Update(new KeyUpdate { Permissions = new Optional<IReadOnlyList<string>>(["tickets:read", "documents:read"]) });

        Assert.That(held.Key.Version, Is.EqualTo(1));
    }

    [Test]
    public void Disabling_and_enabling_are_events_of_their_own()
    {
        var held = Created(Full);

        held.Disable();
        var disabled = held.TakeOnlyEvent();
        held.Enable();
        var enabled = held.TakeOnlyEvent();

        Assert.That(disabled.Type, Is.EqualTo(EventType.KeyDisabled));
        Assert.That(Changes.Of(disabled), Is.EqualTo(new[] { "disabled: false -> true" }));
        Assert.That(enabled.Type, Is.EqualTo(EventType.KeyEnabled));
        Assert.That(Changes.Of(enabled), Is.EqualTo(new[] { "disabled: true -> false" }));
        Assert.That(held.Key.Version, Is.EqualTo(3));
    }

    [Test]
    public void Terms_and_disabling_together_are_two_events_and_one_version()
    {
        var held = Created(Full);

        held.Update(new KeyUpdate { Name = "invoices", Disabled = true });

        Assert.That(held.Key.TakeEvents().Select(happened => happened.Type), Is.EqualTo(new[] { EventType.KeyUpdated, EventType.KeyDisabled }));
        Assert.That(held.Key.Version, Is.EqualTo(2));
    }

    [Test]
    public void A_disabled_key_does_not_work_until_it_is_enabled()
    {
        var held = new KeyWithClock();

        held.Disable();
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.KeyDisabled));

        held.Enable();
        Assert.That(held.Ask(held.First), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public void A_revoked_key_cannot_be_updated()
    {
        var held = Created(Full);
        held.Revoke();
        held.Key.TakeEvents();

        Assert.That(
            () => held.Update(new KeyUpdate { Name = "invoices" }),
            Throws.TypeOf<KeyNotActiveException>().With.Property(nameof(KeyNotActiveException.Status)).EqualTo(KeyStatus.Revoked));
        Assert.That(held.Key.Name, Is.EqualTo("billing"));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void An_expired_key_can_be_updated()
    {
        var held = new KeyWithClock(days: 1);
        held.PassDays(1);

        held.Update(new KeyUpdate { Name = "invoices" });

        Assert.That(held.Key.Name, Is.EqualTo("invoices"));
    }

    [Test]
    public void The_last_active_admin_key_can_be_neither_disabled_nor_demoted()
    {
        var held = new KeyWithClock(Role.Admin);

        Assert.That(() => held.Disable(otherActiveAdmins: 0), Throws.TypeOf<LastAdminException>());
        Assert.That(() => held.Update(new KeyUpdate { Role = Role.Operator }, otherActiveAdmins: 0), Throws.TypeOf<LastAdminException>());

        Assert.That(held.Key.Role, Is.EqualTo(Role.Admin));
        Assert.That(held.Key.IsDisabled, Is.False);
        Assert.That(held.Key.Version, Is.EqualTo(1));
    }

    [Test]
    public void The_last_active_admin_key_can_be_updated_otherwise()
    {
        var held = new KeyWithClock(Role.Admin);

        held.Update(new KeyUpdate { Name = "root", Role = Role.Admin, Disabled = false }, otherActiveAdmins: 0);

        Assert.That(held.Key.Name, Is.EqualTo("root"));
    }

    [Test]
    public void An_admin_key_can_be_disabled_or_demoted_while_another_works()
    {
        var disabled = new KeyWithClock(Role.Admin);
        disabled.Disable(otherActiveAdmins: 1);
        Assert.That(disabled.Key.IsActiveAdmin(disabled.Now), Is.False);

        var demoted = new KeyWithClock(Role.Admin);
        demoted.Update(new KeyUpdate { Role = Role.Viewer }, otherActiveAdmins: 1);
        Assert.That(demoted.Key.IsActiveAdmin(demoted.Now), Is.False);
    }

    [Test]
    public void A_disabled_admin_key_can_be_demoted_whoever_is_left()
    {
        var held = new KeyWithClock(Role.Admin);
        held.Disable(otherActiveAdmins: 1);

        Assert.That(() => held.Update(new KeyUpdate { Role = Role.Viewer }, otherActiveAdmins: 0), Throws.Nothing);
    }

    private static KeyWithClock Created(KeyTerms terms)
    {
        var held = new KeyWithClock(terms);
        held.Key.TakeEvents();
        return held;
    }

    private static IpRange Range(string text) => IpRange.TryParse(text, out var range) ? range : throw new FormatException(text);
}
