using System.Globalization;

namespace Mira.Testing;

/// <summary>
/// How often a test repeats what it draws at random. The environment variable <c>MIRA_ROUNDS</c> asks for more.
/// </summary>
public static class Rounds
{
    /// <summary>The value of <c>MIRA_ROUNDS</c>, or null without one.</summary>
    public static int? Asked { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("MIRA_ROUNDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var rounds)
        && rounds > 0 ? rounds : null;

    /// <summary>True when somebody asked for the long run of a test.</summary>
    public static bool IsSoak => Asked is not null;

    /// <summary>The test's own modest number, times what was asked for.</summary>
    public static int Of(int modest) => modest * (Asked ?? 1);
}
