using System.Runtime.CompilerServices;
using Mira.Domain.Keys;

namespace Mira.Domain.Tests.Keys;

/// <summary>
/// Every role, status and verdict has a name of its own, and a number that is no member is refused instead of treated
/// like some member.
/// </summary>
internal sealed class EnumNameTests
{
    private const int NoMember = 99;

    [Test]
    public void Every_role_has_a_name_that_is_read_back()
    {
        Assert.That(Roles.All, Is.EqualTo(Enum.GetValues<Role>()));
        Assert.That(Roles.Names, Is.EqualTo(new[] { "viewer", "operator", "admin" }));
        Assert.That(Roles.Sentence, Is.EqualTo("viewer, operator or admin"));
        foreach (var role in Roles.All)
            Assert.That((Roles.TryParse(role.Name(), out var read), read), Is.EqualTo((true, role)));
    }

    [Test]
    public void Every_role_grants_more_than_the_one_before()
    {
        foreach (var (lower, higher) in Roles.All.Zip(Roles.All.Skip(1)))
        {
            Assert.That(lower.Permissions(), Is.SubsetOf(higher.Permissions()));
            Assert.That(higher.Permissions().Count, Is.GreaterThan(lower.Permissions().Count));
        }

        Assert.That(Roles.All.Select(role => role.Permissions()), Is.All.Ordered.Using<string>(string.CompareOrdinal));
        Assert.That(Roles.All.Select(role => role.SeesAllKeys()), Is.EqualTo(new[] { false, true, true }));
    }

    [Test]
    public void Every_status_has_a_name_that_is_read_back()
    {
        Assert.That(KeyStatuses.All, Is.EqualTo(Enum.GetValues<KeyStatus>()));
        Assert.That(KeyStatuses.All.Select(status => status.Name()), Is.Unique);
        foreach (var status in KeyStatuses.All)
            Assert.That((KeyStatuses.TryParse(status.Name(), out var read), read), Is.EqualTo((true, status)));
    }

    [Test]
    public void Every_verdict_has_a_name_of_its_own() => Assert.That(Enum.GetValues<VerdictCode>().Select(code => code.Name()), Is.Unique.And.All.Match("^[a-z_]+$"));

    [Test]
    public void A_number_that_is_no_member_is_refused()
    {
        Assert.Throws<SwitchExpressionException>(() => ((Role)NoMember).Name());
        Assert.Throws<SwitchExpressionException>(() => ((Role)NoMember).Permissions());
        Assert.Throws<SwitchExpressionException>(() => ((Role)NoMember).SeesAllKeys());
        Assert.Throws<SwitchExpressionException>(() => ((KeyStatus)NoMember).Name());
        Assert.Throws<SwitchExpressionException>(() => ((VerdictCode)NoMember).Name());
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("Viewer")]
    [TestCase("root")]
    public void Another_text_is_no_role_and_no_status(string? text)
    {
        Assert.That(Roles.TryParse(text, out _), Is.False);
        Assert.That(KeyStatuses.TryParse(text, out _), Is.False);
    }
}
