using System.Globalization;
using System.Net;
using System.Text;

namespace Mira.Load;

/// <summary>The results as one HTML page that needs nothing beside it.</summary>
public static class ResultsPage
{
    private const string Style =
        """
        :root { color-scheme: light dark; --text: #1c2430; --dim: #5b6675; --line: #d8dde5; --back: #fff; --good: #1a7f37; --bad: #c0281f;
          --one: #1f6feb; --two: #b35900; --three: #8250df; --four: #57606a; }
        @media (prefers-color-scheme: dark) { :root { --text: #e6e9ee; --dim: #9aa5b4; --line: #333b47; --back: #14181e; --good: #3fb950; --bad: #ff7b72;
          --one: #58a6ff; --two: #f0a04b; --three: #bc8cff; --four: #9aa5b4; } }
        body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 920px; margin: 2rem auto; padding: 0 1rem; }
        h1 { margin-bottom: 0; } h2 { margin-top: 2rem; } p.dim { color: var(--dim); margin-top: .25rem; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: .35rem .75rem; border-bottom: 1px solid var(--line); }
        th:first-child, td:first-child { text-align: left; }
        .kept { color: var(--good); } .missed { color: var(--bad); font-weight: 600; }
        svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: var(--dim); } svg .grid { stroke: var(--line); }
        polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
        polyline.one { stroke: var(--one); } polyline.two { stroke: var(--two); } polyline.three { stroke: var(--three); }
        polyline.four { stroke: var(--four); stroke-dasharray: 5 4; }
        .legend { margin-top: 0; font-size: .9rem; } .legend span { margin-right: 1.2rem; }
        .legend span::before { content: ""; display: inline-block; width: 1.4rem; border-top: 3px solid; margin-right: .4rem; vertical-align: middle; }
        .legend .one::before { border-color: var(--one); } .legend .two::before { border-color: var(--two); }
        .legend .three::before { border-color: var(--three); } .legend .four::before { border-color: var(--four); border-top-style: dashed; }
        """;

    public static string Of(Results results)
    {
        var (run, scenario) = (results.Run, results.Scenario);
        var page = new StringBuilder();
        page.Append(CultureInfo.InvariantCulture,
            $"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
            $"<meta name=\"viewport\" content=\"width=device-width\">\n<title>Load test: {scenario.Name}</title>\n" +
            $"<style>\n{Style}\n</style>\n</head>\n<body>\n");
        page.Append(CultureInfo.InvariantCulture,
            $"<h1>Load test: {scenario.Name}</h1>\n" +
            $"<p class=\"dim\">{Escape(scenario.Summary)}<br>{Escape(results.Address.ToString())}, " +
            $"{results.At:yyyy-MM-dd HH:mm} UTC, {Environment.ProcessorCount} processors here, {results.Keys} keys</p>\n");
        page.Append(CultureInfo.InvariantCulture,
            $"<p class=\"{(results.IsPassed ? "kept" : "missed")}\">" +
            $"{(results.IsPassed ? "All limits were kept." : "Not all limits were kept.")}</p>\n");
        AppendFigures(page, run, results.Bare);
        AppendVerdicts(page, results);
        page.Append("<h2>Latency over time</h2>\n").Append(OverTime(run).ToSvg());
        page.Append("<h2>Distribution of latency</h2>\n").Append(Distribution(run, results.Bare).ToSvg());
        page.Append("<h2>Requests a second</h2>\n").Append(Rates(run).ToSvg());
        if (results.Samples.Count > 1)
            page.Append("<h2>Memory of the server</h2>\n").Append(Memory(results.Samples, run.Length).ToSvg());
        page.Append("<h2>How it was measured</h2>\n<p>Requests are due at fixed times, whatever the responses do, and a latency counts from the time at which its request was due. Only requests that were served have a latency here. ")
            .Append(CultureInfo.InvariantCulture,
                $"The driver itself sent half of the requests at most {Text.Milliseconds(run.Lag.Percentile(50))} late, " +
                $"and 99 % at most {Text.Milliseconds(run.Lag.Percentile(99))}; that is part of the latencies. ")
            .Append("The driver and a node that it started share the machine.</p>\n</body>\n</html>\n");
        return page.ToString();
    }

    private static void AppendFigures(StringBuilder page, Run run, Run? bare)
    {
        page.Append("<h2>Figures</h2>\n<table>\n<tr><th></th><th>measured</th><th>claimed for an instance</th><th>bare endpoint</th></tr>\n");
        (double Percent, double? Claim)[] shares = [(50, Claims.P50), (95, Claims.P95), (99, Claims.P99), (99.9, null), (100, null)];
        foreach (var (percent, claim) in shares)
        {
            Row(
                percent < 100 ? $"{Text.Plain(percent)} % of the requests took at most" : "the slowest took",
                Text.Milliseconds(run.Latencies.Percentile(percent)),
                claim is { } limit ? Text.Milliseconds(limit) : "–",
                bare is null ? "–" : Text.Milliseconds(bare.Latencies.Percentile(percent)));
        }

        Row("responses a second", Text.Count(run.Rate), Text.Count(Claims.Rate), Bare(of => of.Rate));
        Row("requests served", Text.Count(run.Served), "–", Bare(of => of.Served));
        Row("requests refused, as they should be", Text.Count(run.Refused), "–", Bare(of => of.Refused));
        Row("requests failed", Text.Count(run.Failed), "–", Bare(of => of.Failed));
        page.Append("</table>\n");

        string Bare(Func<Run, double> figure) => bare is null ? "–" : Text.Count(figure(bare));

        void Row(params string[] cells) =>
            page.Append("<tr>").AppendJoin("", cells.Select(cell => $"<td>{Escape(cell)}</td>")).Append("</tr>\n");
    }

    private static void AppendVerdicts(StringBuilder page, Results results)
    {
        page.Append("<h2>Limits</h2>\n<table>\n<tr><th></th><th>measured</th><th>limit</th><th></th></tr>\n");
        foreach (var verdict in results.Verdicts)
        {
            var (style, word) = verdict.IsKept ? ("kept", "kept") : ("missed", "missed");
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td>{Escape(verdict.What)}</td><td>{Escape(verdict.Measured)}</td>" +
                $"<td>{Escape(verdict.Limit)}</td><td class=\"{style}\">{word}</td></tr>\n");
        }

        page.Append("</table>\n");
        if (results.Run.Failures.Count > 0)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<p class=\"missed\">Failures: {Escape(string.Join("; ", results.Run.Failures))}</p>\n");
        }
    }

    private static Plot OverTime(Run run)
    {
        var lines = ((double Percent, string Style)[])[(50, "one"), (95, "two"), (99, "three")];
        var plotted = lines.Select(
            line => new Line($"{Text.Plain(line.Percent)} %", line.Style,
            Of(run, window => window.Latencies.Percentile(line.Percent), isPositive: true))).ToList();
        return new Plot("Latency over time", plotted, Seconds(run.Length),
            Plot.PowersOfTen(plotted.SelectMany(line => line.Points).Select(point => point.Y)), IsLogarithmic: true);
    }

    private static Plot Distribution(Run run, Run? bare)
    {
        // Each step to the right leaves a tenth of the requests: 0, 90, 99, 99.9 and 99.99 %.
        const int Steps = 4;
        List<Line> lines = [new("measured", "one", Points(run))];
        if (bare is not null)
            lines.Add(new Line("bare endpoint", "four", Points(bare)));
        Tick[] ticks = [new(0, "0 %"), new(1, "90 %"), new(2, "99 %"), new(3, "99.9 %"), new(Steps, "99.99 %")];
        return new Plot("Distribution of latency", lines, ticks,
            Plot.PowersOfTen(lines.SelectMany(line => line.Points).Select(point => point.Y)), IsLogarithmic: true);

        static List<(double X, double Y)> Points(Run run) => run.Latencies.Count == 0
            ? []
            : [.. Enumerable.Range(0, (Steps * 25) + 1)
                .Select(step => (step / 25.0, run.Latencies.Percentile(100 * (1 - Math.Pow(10, -step / 25.0)))))];
    }

    private static Plot Rates(Run run)
    {
        var seconds = run.WindowLength.TotalSeconds;
        List<Line> lines =
        [
            new("served", "one", Of(run, window => window.Served / seconds)),
            new("refused, as they should be", "four", Of(run, window => window.Refused / seconds)),
            new("failed", "two", Of(run, window => window.Failed / seconds)),
        ];
        return new Plot("Requests a second", lines, Seconds(run.Length),
            Plot.Even(lines.SelectMany(line => line.Points).Max(point => point.Y), ""), IsLogarithmic: false);
    }

    private static Plot Memory(IReadOnlyList<ProcessSample> samples, TimeSpan length)
    {
        Line[] lines = [new("resident memory", "one",
            [.. samples.Where(sample => sample.At <= length)
            .Select(sample => (sample.At.TotalSeconds, sample.Memory / 1e6))])];
        return new Plot("Memory of the server", lines, Seconds(length),
            Plot.Even(samples.Max(sample => sample.Memory / 1e6), " MB"), IsLogarithmic: false);
    }

    private static List<(double X, double Y)> Of(Run run, Func<Window, double> value, bool isPositive = false) =>
    [
        .. run.Windows.Select((window, index) => ((index + 0.5) * run.WindowLength.TotalSeconds, value(window)))
            .Where(point => point.Item1 <= run.Length.TotalSeconds && (!isPositive || point.Item2 > 0)),
    ];

    private static List<Tick> Seconds(TimeSpan length) =>
        [.. Enumerable.Range(0, 6).Select(step => length.TotalSeconds * step / 5)
            .Select(second => new Tick(second, $"{Text.Plain(second)} s"))];

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
