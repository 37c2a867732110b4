using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

public class PermissionTests
{
    private const string Longest = "a23456789_123456789.123456789-123456789_123456789_123456789_123";

    [TestCase("documents:read")]
    [TestCase("documents:*")]
    [TestCase("d:r")]
    [TestCase("d0_.-:r0_.-")]
    [TestCase("keysmith:read")]
    [TestCase(Longest + ":" + Longest)]
    public void A_key_may_be_given_a_permission_of_another_service(string permission) => Assert.That(Permission.IsGrantable(permission));

    [TestCase("keys:read")]
    [TestCase("keys:*")]
    [TestCase("webhooks:execute")]
    [TestCase("audit:read")]
    [TestCase("stats:anything")]
    public void A_key_may_not_be_given_what_comes_with_the_role(string permission) => Assert.That(Permission.IsGrantable(permission), Is.False);

    [TestCase("")]
    [TestCase("documents")]
    [TestCase("documents:")]
    [TestCase(":read")]
    [TestCase("*:read")]
    [TestCase("*:*")]
    [TestCase("*")]
    [TestCase("documents:re*")]
    [TestCase("documents:**")]
    [TestCase("Documents:read")]
    [TestCase("documents:Read")]
    [TestCase("0documents:read")]
    [TestCase("documents:_read")]
    [TestCase("documents:read:all")]
    [TestCase("documents: read")]
    [TestCase(" documents:read")]
    [TestCase("documents:read\n")]
    [TestCase("dokumentä:read")]
    [TestCase(Longest + "4:read")]
    [TestCase("documents:" + Longest + "4")]
    public void Nothing_else_is_a_permission(string permission)
    {
        Assert.That(Permission.IsGrantable(permission), Is.False);
        Assert.That(Permission.IsAskable(permission), Is.False);
    }

    [TestCase("documents:read", true)]
    [TestCase("keys:read", true)]
    [TestCase(Longest + ":" + Longest, true)]
    [TestCase("documents:*", false)]
    public void One_thing_is_asked_for(string permission, bool askable) => Assert.That(Permission.IsAskable(permission), Is.EqualTo(askable));

    [TestCase("documents:read", "documents:read", true)]
    [TestCase("documents:*", "documents:read", true)]
    [TestCase("documents:read", "documents:write", false)]
    [TestCase("documents:read", "documents:reader", false)]
    [TestCase("documents:*", "document:read", false)]
    [TestCase("documents:*", "documents2:read", false)]
    [TestCase("documents:read", "documents:*", false)]
    public void A_wildcard_covers_every_action_of_its_resource(string granted, string asked, bool covers) =>
        Assert.That(Permission.Covers(granted, asked), Is.EqualTo(covers));

    [Test]
    public void A_key_shows_the_roles_permissions_and_the_free_ones_together_sorted()
    {
        var held = new KeyWithClock(KeyWithClock.Terms(Role.Operator) with { Permissions = ["zebra:read", "documents:*", "keys2:read"] });

        Assert.That(held.Key.Permissions, Is.EqualTo(new[]
        {
            "documents:*", "keys2:read", "keys:read", "keys:verify", "webhooks:execute", "zebra:read",
        }));
    }

    [Test]
    public void A_key_without_free_permissions_shows_the_roles()
    {
        Assert.That(new KeyWithClock(Role.Viewer).Key.Permissions, Is.EqualTo(new[] { "keys:read" }));
    }

    [TestCase("keys:verify", true)]
    [TestCase("documents:read", true)]
    [TestCase("tickets:read", true)]
    [TestCase("tickets:write", false)]
    [TestCase("keys:manage", false)]
    public void A_key_permits_what_its_role_or_a_free_permission_covers(string asked, bool permitted)
    {
        var held = new KeyWithClock(KeyWithClock.Terms(Role.Operator) with { Permissions = ["documents:*", "tickets:read"] });

        Assert.That(held.Key.Permits(asked), Is.EqualTo(permitted));
    }

    [TestCase(null, new string[0], true)]
    [TestCase(Role.Viewer, new string[0], true)]
    [TestCase(Role.Operator, new string[0], true)]
    [TestCase(Role.Admin, new string[0], false)]
    [TestCase(null, new[] { "documents:read", "keys:verify" }, true)]
    [TestCase(null, new[] { "documents:read", "tickets:write" }, false)]
    [TestCase(Role.Operator, new[] { "documents:read" }, true)]
    [TestCase(Role.Operator, new[] { "keys:manage" }, false)]
    [TestCase(Role.Admin, new[] { "documents:read" }, false)]
    public void A_key_meets_a_demand_when_its_role_reaches_and_all_permissions_are_covered(Role? role, string[] permissions, bool met)
    {
        var held = new KeyWithClock(KeyWithClock.Terms(Role.Operator) with { Permissions = ["documents:*"] });

        Assert.That(held.Key.Meets(new Demand(role, permissions)), Is.EqualTo(met));
    }

    [Test]
    public void Every_key_meets_no_demand() => Assert.That(new KeyWithClock(Role.Viewer).Key.Meets(Demand.Nothing));
}

public class RoleTests
{
    // The table of the contract, section 3.
    [TestCase("keys:read", true, true, true)]
    [TestCase("keys:verify", false, true, true)]
    [TestCase("webhooks:execute", false, true, true)]
    [TestCase("keys:manage", false, false, true)]
    [TestCase("audit:read", false, false, true)]
    [TestCase("stats:read", false, false, true)]
    [TestCase("documents:read", false, false, false)]
    public void Each_role_has_the_permissions_of_the_table(string permission, bool viewer, bool @operator, bool admin)
    {
        Assert.That(Roles.All.Select(role => new KeyWithClock(role).Key.Permits(permission)), Is.EqualTo(new[] { viewer, @operator, admin }));
        Assert.That(Roles.All.Select(role => role.Permissions().Contains(permission)), Is.EqualTo(new[] { viewer, @operator, admin }));
    }

    [Test]
    public void Each_role_may_do_what_the_one_before_may()
    {
        Assert.That(Roles.All, Is.EqualTo(new[] { Role.Viewer, Role.Operator, Role.Admin }).And.Ordered);
        foreach (var (less, more) in Roles.All.Zip(Roles.All.Skip(1)))
            Assert.That(less.Permissions(), Is.SubsetOf(more.Permissions()));
    }

    [TestCaseSource(typeof(Roles), nameof(Roles.All))]
    public void A_roles_permissions_are_sorted(Role role) => Assert.That(role.Permissions(), Is.Ordered.Using<string>(StringComparer.Ordinal));

    [TestCase(Role.Viewer, "viewer")]
    [TestCase(Role.Operator, "operator")]
    [TestCase(Role.Admin, "admin")]
    public void A_role_is_read_by_the_name_it_is_written_with(Role role, string name)
    {
        Assert.That(role.Name(), Is.EqualTo(name));
        Assert.That(Roles.TryParse(name, out var read));
        Assert.That(read, Is.EqualTo(role));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("Admin")]
    [TestCase(" admin")]
    [TestCase("2")]
    [TestCase("root")]
    public void Nothing_else_is_a_role(string? name)
    {
        Assert.That(Roles.TryParse(name, out var role), Is.False);
        Assert.That(role, Is.EqualTo(Role.Viewer), "the least");
    }
}

public class VisibilityTests
{
    [TestCase(Role.Operator)]
    [TestCase(Role.Admin)]
    public void Everyone_but_a_viewer_sees_every_key(Role role) =>
        Assert.That(Owned("ada").IsVisibleTo(new Viewpoint(KeyId.Generate(), role, "grace")));

    [Test]
    public void A_viewer_sees_itself()
    {
        var key = Owned(null);

        Assert.That(key.IsVisibleTo(new Viewpoint(key.Id, Role.Viewer, null)));
    }

    [TestCase("ada", "ada", true)]
    [TestCase("ada", "grace", false)]
    [TestCase("ada", "Ada", false)]
    [TestCase("ada", null, false)]
    [TestCase(null, "ada", false)]
    [TestCase(null, null, false)]
    public void A_viewer_sees_the_keys_of_its_own_owner_only(string? owner, string? viewersOwner, bool visible) =>
        Assert.That(Owned(owner).IsVisibleTo(new Viewpoint(KeyId.Generate(), Role.Viewer, viewersOwner)), Is.EqualTo(visible));

    private static ApiKey Owned(string? owner) => new KeyWithClock(KeyWithClock.Terms() with { Owner = owner }).Key;
}
