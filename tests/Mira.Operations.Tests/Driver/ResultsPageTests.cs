using System.Xml.Linq;
using Mira.Load;

namespace Mira.Operations.Tests.Driver;

/// <summary>The page of results says what was measured beside what was claimed, and needs no other file.</summary>
internal sealed class ResultsPageTests
{
    [Test]
    public void The_page_shows_figures_claims_limits_and_plots()
    {
        var page = ResultsPage.Of(Results(failed: 0));
        var html = XDocument.Parse(
            page.Replace("<!DOCTYPE html>", "", StringComparison.Ordinal)
            .Replace("<meta charset=\"utf-8\">", "", StringComparison.Ordinal)
            .Replace("<meta name=\"viewport\" content=\"width=device-width\">", "", StringComparison.Ordinal)
                .Replace("<br>", " ", StringComparison.Ordinal)).Root!;
        var rows = html.Descendants("tr").Select(row => row.Elements("td").Select(cell => cell.Value).ToList())
            .ToList();
        var median = rows.Single(row => row.FirstOrDefault() == "50 % of the requests took at most");
        Assert.That(median, Is.EqualTo(
            new[] { "50 % of the requests took at most", "2.00 ms", "35.00 ms", "1.00 ms" }));
        Assert.That(rows.Select(row => row.ElementAtOrDefault(2)),
            Is.SupersetOf(new[] { "35.00 ms", "145 ms", "320 ms", "1 250" }));
        var plots = html.Descendants("svg").ToList();
        Assert.That(plots.Select(plot => (string?)plot.Attribute("aria-label")),
            Is.EqualTo(new[] { "Latency over time", "Distribution of latency", "Requests a second",
            "Memory of the server" }));
        Assert.That(plots[0].Elements("polyline").Select(line => (string?)line.Element("title")),
            Is.EqualTo(new[] { "50 %", "95 %", "99 %" }));
        Assert.That(plots[1].Elements("polyline").Select(line => (string?)line.Element("title")),
            Is.EqualTo(new[] { "measured", "bare endpoint" }));
        Assert.That(plots.SelectMany(plot => plot.Elements("polyline"))
            .Select(line => (string?)line.Attribute("points")),
            Has.None.Contain("NaN").And.None.Contain("Infinity").And.None.Contain("∞"));
        Assert.That(page, Does.Contain("All limits were kept.").And.Not.Contain("src=").And.Not.Contain("href="));
    }

    [Test]
    public void A_missed_limit_and_a_foreign_text_are_shown_as_they_are()
    {
        var page = ResultsPage.Of(Results(failed: 1));
        Assert.That(page, Does.Contain("Not all limits were kept.").And.Contain("&lt;script&gt;")
            .And.Not.Contain("<script>"));
    }

    [TestCase(0.3, "0.5")]
    [TestCase(1250, "2000")]
    [TestCase(1, "1")]
    [TestCase(0, "0.001")]
    public void An_axis_ends_at_a_round_number(double maximum, string end)
    {
        var ticks = Plot.Even(maximum, "");
        Assert.That(ticks, Has.Count.EqualTo(5));
        Assert.That(ticks[^1].At,
            Is.EqualTo(double.Parse(end, System.Globalization.CultureInfo.InvariantCulture)).Within(1e-9));
    }

    private static Results Results(int failed)
    {
        var scenario = Scenario.All[0] with { Phases = [Phase.Steady(3, 10)] };
        var run = RunOf(scenario, 2);
        for (var failure = 0; failure < failed; failure++)
        {
            run.Begin();
            run.Note("<script>");
            run.End(0, Outcome.Failed, TimeSpan.Zero);
        }

        ProcessSample[] samples = [new(TimeSpan.FromSeconds(1), 170_000_000, 150, 30),
            new(TimeSpan.FromSeconds(2), 171_000_000, 150, 30)];
        return new Results(
            scenario, new Uri("http://127.0.0.1:5000"), DateTimeOffset.UnixEpoch, 100, run, RunOf(scenario, 1), samples,
                Verdict.Of(scenario, run, samples));
    }

    private static Run RunOf(Scenario scenario, double milliseconds)
    {
        var run = new Run(scenario.Length);
        foreach (var due in Arrivals.Of(scenario.Phases))
        {
            run.Begin();
            run.End(due, Outcome.Served, TimeSpan.FromMilliseconds(milliseconds));
        }

        return run;
    }
}
