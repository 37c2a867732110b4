namespace Mira.Domain.Tests;

/// <summary>How often a test repeats what it draws at random: its own modest number, times the environment variable MIRA_ROUNDS.</summary>
internal static class Rounds
{
    private static readonly int Multiplier =
        int.TryParse(Environment.GetEnvironmentVariable("MIRA_ROUNDS"), out var rounds) && rounds > 0 ? rounds : 1;

    public static int Of(int count) => count * Multiplier;
}

/// <summary>A property that is tried this often, times MIRA_ROUNDS.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class HoldsAttribute : FsCheck.NUnit.PropertyAttribute
{
    public HoldsAttribute(int times)
    {
        Times = times;
        MaxTest = Rounds.Of(times);
        QuietOnSuccess = true;
    }

    public int Times { get; }
}
