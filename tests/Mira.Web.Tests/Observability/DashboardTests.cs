using System.Text.RegularExpressions;
using Mira.TestServers;

namespace Mira.Web.Tests.Observability;

/// <summary>
/// The dashboards as Grafana reads them, and each of their queries against a Prometheus that scraped a node under real
/// traffic.
/// </summary>
internal sealed class DashboardTests
{
    private static readonly string[] Titles = ["API Key Management Overview", "Cache Performance", "Rate Limiting Analysis", "Security & Audit Events"];

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Test]
    public void The_four_dashboards_are_there_and_known_apart()
    {
        Assert.That(Dashboards.All.Select(board => board.Text("title")).Order(), Is.EqualTo(Titles));
        Assert.That(Dashboards.All.Select(board => board.Text("uid")), Is.Unique.And.All.Match("^mira-[a-z]+$"));
        Assert.That(Dashboards.All.Select(board => board.Text("description")), Is.All.Not.Empty);
        foreach (var board in Dashboards.All)
            Assert.That(board.GetProperty("panels").EnumerateArray().Select(panel => panel.GetProperty("id").GetInt32()), Is.Unique.And.All.Positive, board.Text("title"));
    }

    [Test]
    public void Each_panel_says_what_it_shows_and_in_which_unit()
    {
        Assert.That(Dashboards.Panels.Count(), Is.GreaterThan(40));
        foreach (var panel in Dashboards.Panels)
        {
            var place = $"{panel.Board}, {panel.Title}";
            Assert.That(panel.Title, Is.Not.Empty, place);
            Assert.That(panel.Json.Text("description"), Has.Length.GreaterThan(15), place);
            Assert.That(panel.Defaults.Text("unit"), Is.Not.Empty, place);
            Assert.That(panel.Json.GetProperty("targets").EnumerateArray().Select(target => target.Text("refId")), Is.Not.Empty.And.Unique, place);
            Assert.That(panel.Json.GetProperty("targets").EnumerateArray().Select(target => target.Text("legendFormat")), Is.All.Not.Empty, place);
            Assert.That(panel.Json.GetProperty("datasource").Text("uid"), Is.EqualTo("${datasource}"), place);
            Assert.That(panel.Json.GetProperty("targets").EnumerateArray().Select(target => target.GetProperty("datasource").Text("uid")), Is.All.EqualTo("${datasource}"), place);
        }
    }

    [Test]
    public void No_panel_lies_on_another()
    {
        foreach (var board in Dashboards.All)
        {
            var cells = board.GetProperty("panels").EnumerateArray().Select(panel => panel.GetProperty("gridPos")).SelectMany(place =>
                from x in Enumerable.Range(place.GetProperty("x").GetInt32(), place.GetProperty("w").GetInt32())
                from y in Enumerable.Range(place.GetProperty("y").GetInt32(), place.GetProperty("h").GetInt32())
                select (x, y)).ToList();
            Assert.That(cells, Is.Unique, board.Text("title"));
            Assert.That(cells.Max(cell => cell.x), Is.LessThan(24), board.Text("title"));
        }
    }

    [Test]
    public void The_data_source_and_the_folder_are_the_provisioned_ones()
    {
        var source = RepositoryFiles.Read("build", "grafana", "provisioning", "datasources", "prometheus.yml");
        var uid = Regex.Match(source, @"^    uid: (\S+)$", RegexOptions.Multiline).Groups[1].Value;
        Assert.That(uid, Is.Not.Empty);
        foreach (var board in Dashboards.All)
        {
            var variable = board.GetProperty("templating").GetProperty("list").EnumerateArray().Single(one => one.Text("name") == "datasource");
            Assert.That(variable.Text("type"), Is.EqualTo("datasource"));
            Assert.That(variable.GetProperty("current").Text("value"), Is.EqualTo(uid), board.Text("title"));
        }

        Assert.That(RepositoryFiles.Read("build", "grafana", "provisioning", "dashboards", "mira.yml"), Does.Contain("type: file").And.Contain("path: /etc/grafana/dashboards"));
    }

    [Test]
    public async Task Each_query_gives_data_of_a_node_under_traffic()
    {
        await using var traffic = await Traffic.StartAsync();
        await using var prometheus = await PrometheusServer.StartAsync([traffic.Node.Address], Interval);
        var missing = Dashboards.Queries.ToList();
        Assert.That(missing, Has.Count.GreaterThan(50));

        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(Interval);
        while (missing.Count > 0 && !patience.IsCancellationRequested)
        {
            await traffic.CallAsync();
            var found = await Task.WhenAll(missing.Select(async query => (await prometheus.QueryAsync(Dashboards.Fill(query.Expression))).Any(sample => double.IsFinite(sample.Value))));
            missing = [.. missing.Where((_, index) => !found[index])];
            await pace.WaitForNextTickAsync();
        }

        Assert.That(missing.Select(query => $"{query.Place}: {query.Expression}"), Is.Empty);

        // What came of calls is not zero either, or a wrong label would have been found.
        foreach (var (query, what) in NotZero)
            Assert.That((await prometheus.QueryAsync(query)).Sum(sample => sample.Value), Is.Positive, what);
    }

    private static readonly (string Query, string What)[] NotZero =
    [
        ("sum(failed_authentications_total{job=\"mira\", reason=\"key_revoked\"})", "an ended key was refused"),
        ("sum(failed_authentications_total{job=\"mira\", reason=\"ip_not_allowed\"})", "a key from elsewhere was refused"),
        ("sum(rate_limit_rejections_total{job=\"mira\", role=\"viewer\"})", "a key came too often"),
        ("sum(ledger_events_total{job=\"mira\", type=\"key.revoked\"})", "keys were revoked"),
        ("sum(http_server_request_duration_seconds_count{job=\"mira\", http_response_status_code=\"429\"})", "429 was answered"),
        ("sum(redis_up{job=\"mira\"})", "Redis is there"),
    ];
}
