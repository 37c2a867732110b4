namespace Mira.Load;

/// <summary>The figures that were claimed for an instance, and that a run has to beat.</summary>
public static class Claims
{
    public const double P50 = 35;
    public const double P95 = 145;
    public const double P99 = 320;
    public const double Rate = 1250;
}

/// <summary>A limit that a run keeps or not.</summary>
public sealed record Verdict(string What, string Measured, string Limit, bool IsKept)
{
    private const double SoakGrowth = 1.3;
    private const double MemoryGrowth = 1.2;

    /// <param name="memory">Samples of the server's process; empty when it runs elsewhere.</param>
    public static IReadOnlyList<Verdict> Of(Scenario scenario, Run run, IReadOnlyList<ProcessSample> memory)
    {
        var planned = Arrivals.Of(scenario.Phases).Count();
        var ended = run.Served + run.Refused;
        List<Verdict> verdicts =
        [
            new("failed requests", Text.Count(run.Failed), "0", run.Failed == 0),
            new("responses of the planned requests", Text.Count(ended), Text.Count(planned), ended == planned),
            Below("median latency", run.Latencies.Percentile(50), Claims.P50),
            Below("95th percentile", run.Latencies.Percentile(95), Claims.P95),
            Below("99th percentile", run.Latencies.Percentile(99), Claims.P99),
        ];
        if (scenario.IsSoak)
        {
            var (first, last) = (run.Part(0, 1 / 6.0).Percentile(99), run.Part(5 / 6.0, 1).Percentile(99));
            verdicts.Add(Below("99th percentile of the last sixth, beside that of the first", last,
                first * SoakGrowth));
            // The first third is left out: a node grows for some minutes after its start.
            if (memory.Count >= 6)
                verdicts.AddRange(Flat(memory));
        }

        return verdicts;
    }

    private static Verdict Below(string what, double milliseconds, double limit) =>
        new(what, Text.Milliseconds(milliseconds), $"≤ {Text.Milliseconds(limit)}", milliseconds <= limit);

    private static IEnumerable<Verdict> Flat(IReadOnlyList<ProcessSample> samples)
    {
        var third = samples.Count / 3;
        var (middle, last) = (samples.Skip(third).Take(third).ToList(), samples.Skip(2 * third).ToList());
        yield return Growth("memory, MB", sample => sample.Memory / 1e6);
        yield return Growth("open files", sample => sample.Files);
        yield return Growth("threads", sample => sample.Threads);

        Verdict Growth(string what, Func<ProcessSample, double> of)
        {
            var (before, after) = (middle.Average(of), last.Average(of));
            return new Verdict($"{what}: last third beside the second", $"{after:0}", $"≤ {before * MemoryGrowth:0}",
                after <= before * MemoryGrowth);
        }
    }
}

/// <summary>How numbers are written.</summary>
public static class Text
{
    private static readonly System.Globalization.CultureInfo Culture = System.Globalization.CultureInfo.InvariantCulture;

    public static string Count(double count) => count.ToString("#,0", Culture).Replace(',', ' ');

    public static string Milliseconds(double value) =>
        value.ToString(value < 1 ? "0.000" : value < 100 ? "0.00" : "0", Culture) + " ms";

    public static string Plain(double value) => value.ToString("0.##", Culture);
}
