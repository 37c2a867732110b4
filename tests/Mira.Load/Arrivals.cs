namespace Mira.Load;

/// <summary>A stretch of a scenario, in which the rate grows or falls evenly.</summary>
/// <param name="From">Requests a second at its beginning.</param>
/// <param name="To">Requests a second at its end.</param>
public sealed record Phase(TimeSpan Length, double From, double To)
{
    public static Phase Steady(double seconds, double rate) => new(TimeSpan.FromSeconds(seconds), rate, rate);
}

/// <summary>
/// When each request is due. Callers do not wait for each other, so a slow response delays no later request: this is an
/// open loop.
/// </summary>
public static class Arrivals
{
    /// <summary>Returns the due times in milliseconds from the start, in order.</summary>
    public static IEnumerable<int> Of(IReadOnlyList<Phase> phases)
    {
        var begin = 0;
        var owed = 0.0;
        foreach (var phase in phases)
        {
            var length = (int)phase.Length.TotalMilliseconds;
            for (var at = 0; at < length; at++)
            {
                // The rate in the middle of the millisecond: exact while a rate changes evenly.
                owed += (phase.From + ((phase.To - phase.From) * (at + 0.5) / length)) / 1000;
                for (; owed >= 1 - 1e-9; owed--)
                    yield return begin + at;
            }

            begin += length;
        }
    }

    /// <summary>Returns the same phases with another length in all, or another highest rate.</summary>
    public static IReadOnlyList<Phase> Scale(IReadOnlyList<Phase> phases, double? seconds, double? rate)
    {
        var length = seconds / LengthOf(phases).TotalSeconds ?? 1;
        var height = rate / phases.Max(phase => Math.Max(phase.From, phase.To)) ?? 1;
        return [.. phases.Select(phase => new Phase(phase.Length * length, phase.From * height, phase.To * height))];
    }

    public static TimeSpan LengthOf(IEnumerable<Phase> phases) =>
        phases.Aggregate(TimeSpan.Zero, (sum, phase) => sum + phase.Length);
}
