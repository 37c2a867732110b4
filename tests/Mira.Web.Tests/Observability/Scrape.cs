using System.Globalization;
using System.Text.RegularExpressions;

namespace Mira.Web.Tests.Observability;

/// <summary>What <c>/metrics</c> said once.</summary>
internal sealed partial record Scrape(string Text)
{
    /// <summary>Each series with its labels, as it is written.</summary>
    public IReadOnlyDictionary<string, double> Series { get; } = Text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Where(line => line[0] != '#').Select(line => Line().Match(line))
        .ToDictionary(line => line.Groups[1].Value.Replace("{}", "", StringComparison.Ordinal), line => Number(line.Groups[2].Value));

    /// <summary>The names of series without labels.</summary>
    public IReadOnlySet<string> Names => Series.Keys.Select(series => series.Split('{')[0]).ToHashSet();

    public static async Task<Scrape> OfAsync(HttpClient http) => new(await http.GetStringAsync("/metrics"));

    /// <param name="series">As it is written: <c>name{label="value"}</c>.</param>
    public double this[string series] => Series.TryGetValue(series, out var value) ? value : throw new AssertionException($"There is no {series} in\n{Text}");

    /// <summary>The sum of all series of a name whose labels hold a text.</summary>
    public double Sum(string name, string label = "") => Series
        .Where(pair => pair.Key.Split('{')[0] == name && pair.Key.Contains(label, StringComparison.Ordinal)).Sum(pair => pair.Value);

    private static double Number(string text) => double.Parse(text.Replace("Inf", "∞", StringComparison.Ordinal), CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(\S+?(?:\{.*\})?) (\S+)$")]
    private static partial Regex Line();
}
