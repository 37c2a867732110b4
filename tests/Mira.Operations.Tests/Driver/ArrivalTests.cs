using Mira.Load;

namespace Mira.Operations.Tests.Driver;

/// <summary>Requests are due when the plan says so, whatever happens to those before them.</summary>
internal sealed class ArrivalTests
{
    [TestCase(1250, 2, 2500)]
    [TestCase(1, 3, 3)]
    [TestCase(7, 10, 70)]
    [TestCase(3000, 1, 3000)]
    public void A_steady_rate_is_exact_and_even(double rate, double seconds, int expected)
    {
        var due = Arrivals.Of([Phase.Steady(seconds, rate)]).ToList();
        Assert.That(due, Has.Count.EqualTo(expected));
        Assert.That(due, Is.Ordered.And.All.InRange(0, (seconds * 1000) - 1));
        var gaps = due.Zip(due.Skip(1), (one, next) => next - one).ToList();
        Assert.That(gaps.Max() - gaps.Min(), Is.LessThanOrEqualTo(1), "no burst and no hole");
    }

    [Test]
    public void A_rate_that_grows_has_as_many_requests_as_its_mean()
    {
        var due = Arrivals.Of([new Phase(TimeSpan.FromSeconds(2), 0, 1000)]).ToList();
        Assert.That(due, Has.Count.EqualTo(1000));
        Assert.That(due.Count(at => at < 1000), Is.EqualTo(250).Within(1),
            "a quarter of them is due in the first half");
    }

    [Test]
    public void Phases_follow_each_other_without_losing_a_request()
    {
        var due = Arrivals.Of([Phase.Steady(0.5, 3), Phase.Steady(0.5, 3), Phase.Steady(1, 3)]).ToList();
        Assert.That(due, Has.Count.EqualTo(6));
        Assert.That(due[^1], Is.GreaterThanOrEqualTo(1000));
    }

    [Test]
    public void A_scenario_takes_another_length_and_another_highest_rate()
    {
        foreach (var scenario in Scenario.All)
        {
            var scaled = Arrivals.Scale(scenario.Phases, 3, 50);
            Assert.That(Arrivals.LengthOf(scaled).TotalSeconds, Is.EqualTo(3).Within(0.001), scenario.Name);
            Assert.That(scaled.Max(phase => Math.Max(phase.From, phase.To)), Is.EqualTo(50).Within(0.001),
                scenario.Name);
            Assert.That(Arrivals.Scale(scenario.Phases, null, null), Is.EqualTo(scenario.Phases), scenario.Name);
        }
    }

    [Test]
    public void The_five_scenarios_are_there() =>
        Assert.That(Scenario.All.Select(scenario => scenario.Name),
            Is.EqualTo(new[] { "steady", "spike", "soak", "many-keys", "wrong-key-storm" }));

    [Test]
    public void Four_of_five_requests_of_a_storm_are_wrong()
    {
        var storm = Scenario.Find("wrong-key-storm")!;
        Assert.That(Enumerable.Range(0, 1000).Count(storm.IsWrong), Is.EqualTo(800).Within(1));
        Assert.That(Enumerable.Range(0, 1000).Count(Scenario.All[0].IsWrong), Is.Zero);
    }
}
