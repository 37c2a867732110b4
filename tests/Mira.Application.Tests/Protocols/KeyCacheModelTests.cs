namespace Mira.Application.Tests.Protocols;

/// <summary>The invariants of docs/protocols/key-cache.md, over every state that the model can reach.</summary>
internal sealed class KeyCacheModelTests
{
    private const int Events = 6;

    /// <summary>Six events take minutes and some gigabytes; they are checked when <c>MIRA_ROUNDS</c> is set.</summary>
    private static int EventsToExhaust => Environment.GetEnvironmentVariable("MIRA_ROUNDS") is null ? 4 : Events;

    [Test]
    public void Every_invariant_holds_in_every_state()
    {
        var check = ModelChecker.Check(new KeyCacheModel(EventsToExhaust), mostStates: 60_000_000);
        TestContext.Out.WriteLine($"{check.States} states, {check.Depth} steps deep");
        foreach (var (action, count) in check.Actions)
            TestContext.Out.WriteLine($"{count,12} {action}");

        Assert.That(check.Violated, Is.Zero, check.Trace);
        Assert.That(check.Actions, Has.Count.EqualTo(14), "every kind of step is made");
    }

    // Who closes it makes it an invariant.
    [Test]
    public void The_known_gap_is_there()
    {
        var check = ModelChecker.Check(new KeyCacheModel(Events, only: KeyCacheModel.KnownGap));
        TestContext.Out.WriteLine(check.Trace);

        Assert.That(check.Violated, Is.EqualTo(KeyCacheModel.KnownGap));
    }

    [TestCase(1, KeyCacheFault.AsOfIgnored)]
    [TestCase(1, KeyCacheFault.OwnChangeNotRemembered)]
    [TestCase(1, KeyCacheFault.OthersSkipped)]
    [TestCase(2, KeyCacheFault.FloorNotRaised)]
    [TestCase(2, KeyCacheFault.StartsWithoutChanges)]
    [TestCase(3, KeyCacheFault.ReadOutlivesClear)]
    [TestCase(3, KeyCacheFault.MarkNotCompared)]
    [TestCase(4, KeyCacheFault.SightedWhenAnswered)]
    [TestCase(4, KeyCacheFault.StandbyAnswers)]
    public void Each_invariant_is_violated_by_a_planted_fault(int invariant, KeyCacheFault fault)
    {
        var check = ModelChecker.Check(new KeyCacheModel(Events, fault, only: invariant));
        TestContext.Out.WriteLine(check.Trace);

        Assert.That(check.Violated, Is.EqualTo(invariant));
    }
}
