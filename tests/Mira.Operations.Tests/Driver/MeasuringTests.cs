using System.Diagnostics;
using Mira.Load;

namespace Mira.Operations.Tests.Driver;

/// <summary>The driver measures what a caller waits, and reports a stalled server in full.</summary>
internal sealed class MeasuringTests
{
    private static readonly double[] Percents = [0, 50, 90, 95, 99, 99.9, 100];

    [Test]
    public void A_percentile_is_that_of_the_sorted_values()
    {
        // From 1 ms to 22 s.
        var values = Enumerable.Range(0, 20_000).Select(number => Math.Exp(number / 2000.0)).ToList();
        var latencies = new Latencies();
        foreach (var value in values)
            latencies.Record(TimeSpan.FromMilliseconds(value));
        foreach (var percent in Percents)
        {
            var exact = values[Math.Clamp((int)Math.Ceiling(percent / 100 * values.Count) - 1, 0, values.Count - 1)];
            Assert.That(latencies.Percentile(percent),
                Is.EqualTo(exact).Within(0.2).Percent.Or.EqualTo(exact).Within(0.002), $"{percent} %");
        }
    }

    [Test]
    public void Latencies_add_up_and_are_clamped()
    {
        var (one, other) = (new Latencies(), new Latencies());
        Assert.That(one.Percentile(99), Is.Zero);
        one.Record(TimeSpan.FromMilliseconds(1));
        other.Record(TimeSpan.FromHours(1));
        other.Record(TimeSpan.Zero);
        one.Add(other);
        Assert.That(one.Count, Is.EqualTo(3));
        Assert.That(one.Percentile(50), Is.EqualTo(1).Within(0.002));
        Assert.That(one.Percentile(100), Is.EqualTo(120_000).Within(0.2).Percent);
    }

    [Test]
    public async Task A_server_that_stalls_shows_in_every_request_that_was_due_meanwhile()
    {
        var stall = TimeSpan.FromMilliseconds(500);
        var run = new Run(TimeSpan.FromSeconds(1));
        var start = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var server = Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(start) < stall)
                await timer.WaitForNextTickAsync();
            over.SetResult();
        });
        await new Mira.Load.Driver(Answer, TimeProvider.System)
            .RunAsync(Arrivals.Of([Phase.Steady(1, 200)]), run, CancellationToken.None);
        await server;
        Assert.That((run.Served, run.Failed, run.InFlight), Is.EqualTo((200, 0, 0)));
        // 100 requests were due while it stalled, after 0, 5, 10 … ms: a quarter of all 200 waited for
        // more than 250 ms.
        Assert.That(run.Latencies.Percentile(75), Is.GreaterThan(230));
        Assert.That(run.Latencies.Percentile(100), Is.GreaterThan(480));

        async Task<Outcome> Answer(int number, Run _, CancellationToken cancellationToken)
        {
            await over.Task;
            return Outcome.Served;
        }
    }

    [Test]
    public async Task A_refusal_and_a_failure_are_counted_and_are_no_latencies()
    {
        var run = new Run(TimeSpan.FromSeconds(2.2));
        await new Mira.Load.Driver(Answer, TimeProvider.System)
            .RunAsync(Arrivals.Of([Phase.Steady(2.2, 100)]), run, CancellationToken.None);
        Assert.That(run.Windows, Has.Count.EqualTo(3));
        Assert.That((run.Served, run.Refused, run.Failed), Is.EqualTo((73, 74, 73)));
        Assert.That(run.Latencies.Count, Is.EqualTo(73));
        Assert.That(run.Failures, Is.EqualTo(new[] { "planted" }));

        static Task<Outcome> Answer(int number, Run run, CancellationToken cancellationToken) => (number % 3) switch
        {
            0 => Task.FromResult(Outcome.Refused),
            1 => Task.FromResult(Outcome.Served),
            _ => throw new HttpRequestException("planted"),
        };
    }

    [Test]
    public void A_limit_that_is_missed_is_said()
    {
        var scenario = Scenario.Find("soak")! with { Phases = [Phase.Steady(6, 10)] };
        var run = new Run(scenario.Length);
        for (var due = 0; due < 6000; due += 100)
        {
            run.Begin();
            run.End(due, Outcome.Served, TimeSpan.FromMilliseconds(due < 5000 ? 10 : 14));
        }

        ProcessSample[] growing = [.. Enumerable.Range(0, 9)
            .Select(at => new ProcessSample(TimeSpan.FromSeconds(at), 100_000_000 + (at * 20_000_000), 100, 30))];
        var missed = Verdict.Of(scenario, run, growing).Where(verdict => !verdict.IsKept)
            .Select(verdict => verdict.What).ToList();
        string[] expected =
        [
            "99th percentile of the last sixth, beside that of the first", "memory, MB: last third beside the second",
        ];
        Assert.That(missed, Is.EqualTo(expected));
        run.Begin();
        run.End(0, Outcome.Failed, TimeSpan.Zero);
        Assert.That(Verdict.Of(scenario, run, []).Count(verdict => !verdict.IsKept), Is.EqualTo(2),
            "the failure, and the latency as before");
    }

    [Test]
    public void A_command_line_is_read_strictly()
    {
        var options = Options.Read(
            ["spike", "--url", "https://mira.example.com", "--seconds", "6", "--rate", "10", "--no-bare"], "key");
        Assert.That((options.Scenario.Name, options.Url!.Host, options.Key, options.HasBare),
            Is.EqualTo(("spike", "mira.example.com", "key", false)));
        Assert.That(options.Scenario.Length.TotalSeconds, Is.EqualTo(6).Within(0.001));
        Assert.That(Options.Read([], null).Scenario.Name, Is.EqualTo("steady"));
        string[][] wrong =
        [
            ["planted"], ["--planted", "1"], ["--url", "ftp://a"], ["--url"], ["--rate", "-1"], ["--seconds", "NaN"],
        ];
        foreach (var line in wrong)
        {
            Assert.That(() => Options.Read(line, null), Throws.TypeOf<FormatException>(), string.Join(' ', line));
        }
    }
}
