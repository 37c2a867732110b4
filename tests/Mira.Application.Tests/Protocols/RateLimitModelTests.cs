namespace Mira.Application.Tests.Protocols;

/// <summary>The invariants of docs/protocols/rate-limit.md, over every state that the model can reach.</summary>
internal sealed class RateLimitModelTests
{
    private static readonly RateLimitBounds Leases = new(Limit: 2, Requests: 6, LargestCost: 2, Wanted: 1);
    private static readonly RateLimitBounds Alone =
        new(Limit: 1, Requests: 2, LargestCost: 1, Wanted: 1, DecidesAlone: true);

    // Three leases at one node, and a token of another node in the same bucket.
    private static readonly RateLimitBounds ThreeLeases = new(Limit: 4, Requests: 6, LargestCost: 1, Wanted: 1);

    private static bool IsShort => Environment.GetEnvironmentVariable("MIRA_ROUNDS") is null;

    /// <summary>Six requests take minutes; they are checked when <c>MIRA_ROUNDS</c> is set.</summary>
    private static int RequestsToExhaust => IsShort ? 4 : Leases.Requests;

    /// <summary>Three leases of one node take minutes to reach.</summary>
    private static IEnumerable<TestCaseData> SlowFaults => IsShort ? [] : [new(2, RateLimitFault.BucketsMixed)];

    [Test]
    public void Every_invariant_holds_in_every_state_while_the_shared_window_decides() =>
        CheckAll(Leases with { Requests = RequestsToExhaust });

    [Test]
    public void Every_invariant_holds_in_every_state_while_nodes_may_decide_alone() => CheckAll(Alone);

    [TestCase(1, RateLimitFault.LeaseHasNoEnd)]
    [TestCase(1, RateLimitFault.LifeNotCounted)]
    [TestCase(2, RateLimitFault.LifeFromResponse)]
    [TestCase(2, RateLimitFault.ReturnedTwice)]
    [TestCase(3, RateLimitFault.OwnWindowIgnored)]
    [TestCase(4, RateLimitFault.ReturnedTwice)]
    [TestCase(5, RateLimitFault.DebtForgotten)]
    [TestCaseSource(nameof(SlowFaults))]
    public void Each_invariant_is_violated_by_a_planted_fault(int invariant, RateLimitFault fault)
    {
        var bounds = fault switch
        {
            RateLimitFault.BucketsMixed => ThreeLeases,
            RateLimitFault.OwnWindowIgnored or RateLimitFault.DebtForgotten => Alone,
            _ => Leases,
        };
        var check = ModelChecker.Check(new RateLimitModel(bounds, fault, only: invariant));
        TestContext.Out.WriteLine(check.Trace);

        Assert.That(check.Violated, Is.EqualTo(invariant));
    }

    private static void CheckAll(RateLimitBounds bounds)
    {
        var check = ModelChecker.Check(new RateLimitModel(bounds), mostStates: 60_000_000);
        TestContext.Out.WriteLine($"{bounds}: {check.States} states, {check.Depth} steps deep");
        foreach (var (action, count) in check.Actions)
            TestContext.Out.WriteLine($"{count,12} {action}");

        Assert.That(check.Violated, Is.Zero, check.Trace);
    }
}
