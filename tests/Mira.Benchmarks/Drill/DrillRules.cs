using System.Text.RegularExpressions;

namespace Mira.Benchmarks.Drill;

/// <summary>
/// The shipped rules, with shorter times: who drills does not want to wait for half an hour. Thresholds and expressions
/// are as they are.
/// </summary>
internal static partial class DrillRules
{
    public const string Description =
        "Scrapes and rules each second (shipped: 15 s); windows of 5 and 10 minutes are 15 s, longer ones 30 s; what must hold for a while before it fires must hold for 3 s.";

    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public static IReadOnlyDictionary<string, string> Shortened(string build) =>
        Directory.EnumerateFiles(Path.Combine(build, "prometheus"), "*.rules.yml").ToDictionary(file => Path.GetFileName(file), file => Shorten(File.ReadAllText(file)));

    private static string Shorten(string rules) => Pause().Replace(Long().Replace(Short().Replace(rules, "[15s]"), "[30s]"), "for: 3s");

    [GeneratedRegex(@"\[(5m|10m)\]")]
    private static partial Regex Short();

    [GeneratedRegex(@"\[(30m|1h|6h)\]")]
    private static partial Regex Long();

    [GeneratedRegex(@"for: \d+[smh]")]
    private static partial Regex Pause();
}
