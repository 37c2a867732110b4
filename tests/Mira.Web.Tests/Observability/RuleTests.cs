using System.Text.RegularExpressions;

namespace Mira.Web.Tests.Observability;

/// <summary>
/// The shipped configuration of Prometheus: taken by Prometheus itself, tried, explained, and of metrics that exist.
/// </summary>
internal sealed partial class RuleTests
{
    private static readonly string[] RuleFiles = ["recording.rules.yml", "alerts.rules.yml"];

    [Test]
    public async Task Prometheus_takes_configuration_and_rules()
    {
        foreach (var arguments in new[] { new[] { "check", "config", "prometheus.yml" }, ["check", "rules", .. RuleFiles] })
        {
            var (code, output) = await Promtool.RunAsync(RepositoryFiles.At("build", "prometheus"), "", arguments);
            Assert.That(code, Is.Zero, output);
            Assert.That(output, Does.Contain("SUCCESS").And.Not.Contain("FAILED"), output);
        }
    }

    [Test]
    public async Task Each_rule_does_what_its_test_says()
    {
        var (code, output) = await Promtool.RunAsync(RepositoryFiles.At("build", "prometheus"), "", "test", "rules", "rules.test.yml");
        Assert.That(code, Is.Zero, output);
        var tests = RepositoryFiles.Read("build", "prometheus", "rules.test.yml");
        foreach (var alert in Names("alert"))
        {
            Assert.That(Regex.Count(tests, $@"alertname: {alert}\s+exp_alerts:\s+- exp_labels"), Is.Positive, $"{alert} is never seen firing");
            Assert.That(Regex.Count(tests, $@"alertname: {alert}\s+exp_alerts: \[\]"), Is.Positive, $"{alert} is never seen silent");
        }

        Assert.That(Names("record").Where(record => !tests.Contains(record, StringComparison.Ordinal)), Is.Empty, "never tried");
    }

    [Test]
    public void Each_alert_has_its_section_in_the_runbook()
    {
        var headings = Heading().Matches(RepositoryFiles.Read("docs", "runbook.md")).Select(match => match.Groups[1].Value).ToList();
        var alerts = Names("alert");
        Assert.That(headings, Is.EquivalentTo(alerts));
        var rules = RepositoryFiles.Read("build", "prometheus", "alerts.rules.yml");
        foreach (var alert in alerts)
            Assert.That(rules, Does.Contain($"runbook_url: docs/runbook.md#{alert.ToLowerInvariant()}\n"), alert);
    }

    [Test]
    public async Task Each_metric_that_a_rule_names_exists()
    {
        await using var traffic = await Traffic.StartAsync();
        await traffic.CallAsync();
        using var http = traffic.Node.Http();
        var known = (await Scrape.OfAsync(http)).Names.Append("up").ToHashSet();
        var named = RuleFiles.SelectMany(file => Metric().Matches(RepositoryFiles.Read("build", "prometheus", file))).Select(match => match.Groups[1].Value).ToHashSet();
        Assert.That(named, Has.Count.GreaterThanOrEqualTo(15));
        Assert.That(named.Except(known), Is.Empty);
    }

    private static IReadOnlyList<string> Names(string kind) =>
        [.. RuleFiles.SelectMany(file => Regex.Matches(RepositoryFiles.Read("build", "prometheus", file), $@"- {kind}: (\S+)")).Select(match => match.Groups[1].Value)];

    // What rules record is named with colons, which no metric is.
    [GeneratedRegex(@"(?<![:\w])([a-z][a-z0-9_]+)\{job=")]
    private static partial Regex Metric();

    [GeneratedRegex(@"^## (Mira\w+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();
}
