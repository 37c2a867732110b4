using System.Diagnostics;
using System.Globalization;

namespace Mira.Web.Tests.Reliability;

/// <summary>How long the long tests run: <c>MIRA_ROUNDS</c> is the number of kills, a handful without it.</summary>
internal static class Soak
{
    private const int DefaultKills = 6;

    private static readonly int Kills = Rounds.Asked ?? DefaultKills;

    public static bool IsAsked => Rounds.IsSoak;

    /// <summary>A third of all kills come during a first start, the others during writes.</summary>
    public static int KillsInFirstStart => Kills / 3;

    public static int KillsDuringWrites => Kills - KillsInFirstStart;

    public static int Revocations => IsAsked ? 1_000 : 60;

    /// <summary>Rounds of a race that takes milliseconds: its own modest number, or more in a soak.</summary>
    public static int RoundsOf(int modest) => Rounds.Asked is { } asked ? Math.Max(modest, Math.Min(asked, modest * 10)) : modest;

    /// <summary>The seed is printed, and <c>MIRA_SEED</c> runs it again.</summary>
    public static Random Seeded()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("MIRA_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out var given)
            ? given
            : Environment.TickCount & int.MaxValue;
        Print($"seed {seed}");
        return new Random(seed);
    }

    /// <summary>Shown as it happens, and kept with the test's result.</summary>
    public static void Print(FormattableString text)
    {
        var line = text.ToString(CultureInfo.InvariantCulture);
        TestContext.Progress.WriteLine($"{TestContext.CurrentContext.Test.MethodName}: {line}");
        TestContext.Out.WriteLine(line);
    }

    /// <summary>Looks every millisecond whether it has come to pass, for at most a minute.</summary>
    public static async Task UntilAsync(Func<bool> condition)
    {
        var started = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        while (!condition())
        {
            Assert.That(Stopwatch.GetElapsedTime(started), Is.LessThan(TimeSpan.FromMinutes(1)), "It never came to pass.");
            await timer.WaitForNextTickAsync();
        }
    }

    /// <summary>A moment within the next milliseconds at which nothing in particular happens.</summary>
    public static void SpinUpTo(double milliseconds, Random random)
    {
        var moment = TimeSpan.FromMilliseconds(random.NextDouble() * milliseconds);
        var started = Stopwatch.GetTimestamp();
        SpinWait.SpinUntil(() => Stopwatch.GetElapsedTime(started) >= moment);
    }
}
