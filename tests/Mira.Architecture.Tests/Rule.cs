namespace Mira.Architecture.Tests;

/// <summary>
/// A rule is a function from a thing to what is wrong with it, so that it can be tried on a thing that is known to be
/// wrong.
/// </summary>
internal static class Rule
{
    /// <summary>
    /// Fails unless the rule reports each planted violation, lets the innocent pass, was given something real to look
    /// at, and reports none of it.
    /// </summary>
    public static void Holds<T>(Func<T, IEnumerable<string>> rule, IReadOnlyCollection<T> real, T[] planted, params T[] innocent)
    {
        Assert.That(planted, Is.Not.Empty, "A rule that has never been seen red may not look at anything.");
        Assert.That(real, Is.Not.Empty, "There is nothing to look at.");
        using (Assert.EnterMultipleScope())
        {
            foreach (var violation in planted)
                Assert.That(rule(violation), Is.Not.Empty, $"Not reported: {violation}");
            foreach (var thing in innocent)
                Assert.That(rule(thing), Is.Empty, $"Reported without being wrong: {thing}");
            Assert.That(string.Join("\n", real.SelectMany(rule)), Is.Empty);
        }
    }
}
