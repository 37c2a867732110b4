using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public class RowViolationsTests
{
    private AggregatedEvents _gathered = null!;

    [SetUp]
    public void SetUp() => _gathered = new AggregatedEvents(TimeProvider.System);

    [Test]
    public void A_finding_is_told_of_once_until_it_is_right_again()
    {
        var findings = new RowViolations(_gathered);
        var id = KeyId.Generate();

        Assert.That(findings.Report(id, RowViolations.Forged));
        Assert.That(findings.Report(id, RowViolations.Forged), Is.False);
        Assert.That((findings.Count, findings.Find(id)), Is.EqualTo((1, RowViolations.Forged)));
        Assert.That(findings.Clear(id));
        Assert.That(findings.Clear(id), Is.False);
        Assert.That(findings.Report(id, RowViolations.Replayed));

        var told = _gathered.Take().ToDictionary(one => one.Group.Reason!);
        Assert.That(told.Keys, Is.EquivalentTo(new[] { RowViolations.Forged, RowViolations.Replayed }));
        Assert.That(told.Values.Select(one => (one.Group.Type, one.Group.Subject, one.Count)), Is.All.EqualTo((EventType.IntegrityViolation, id.Value, 1L)));
    }

    [Test]
    public void More_findings_than_are_kept_apart_take_no_more_room()
    {
        var findings = new RowViolations(_gathered, most: 3);
        var ids = Enumerable.Range(0, 10).Select(_ => KeyId.Generate()).ToList();
        foreach (var id in ids)
            findings.Report(id, RowViolations.Forged);

        Assert.That(findings.Count, Is.EqualTo(3));
        findings.Clear(ids[0]);
        Assert.That(findings.Report(ids[9], RowViolations.Forged), "there is room again");
    }
}
