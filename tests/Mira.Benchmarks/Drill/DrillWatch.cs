using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mira.TestServers;

namespace Mira.Benchmarks.Drill;

/// <summary>Looks at every panel of the dashboards and at the alerts once a second, and tells what changed.</summary>
/// <param name="nodes">Told by their numbers.</param>
internal sealed class DrillWatch(PrometheusServer prometheus, string dashboards, IReadOnlyList<Uri> nodes)
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    private readonly List<Query> _queries = [.. Read(dashboards)];
    private readonly Dictionary<string, Course> _courses = [];
    private readonly Dictionary<string, List<string>> _alerts = [];
    private HashSet<string> _raised = [];
    private string _title = "";
    private long _began = Stopwatch.GetTimestamp();
    private double _ended;

    private double Now => Stopwatch.GetElapsedTime(_began).TotalSeconds;

    /// <summary>A new scene: what is shown now is what was before.</summary>
    public async Task BeginAsync(string title)
    {
        _courses.Clear();
        _alerts.Clear();
        _raised = [];
        (_title, _began, _ended) = (title, Stopwatch.GetTimestamp(), 0);
        await LookAsync();
        _began = Stopwatch.GetTimestamp();
    }

    /// <summary>The fault is over.</summary>
    public void MarkEnd() => _ended = Now;

    public async Task WaitAsync(TimeSpan time)
    {
        var began = Stopwatch.GetTimestamp();
        using var pace = new PeriodicTimer(Pace);
        while (Stopwatch.GetElapsedTime(began) < time)
        {
            await pace.WaitForNextTickAsync();
            await LookAsync();
        }
    }

    public string Report()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"\n## {_title}\n\nThe fault lasted {_ended:0} s. Seconds are since its begin.\n");
        text.AppendLine("| alert | course |").AppendLine("| --- | --- |");
        foreach (var (alert, course) in _alerts.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            text.AppendLine(CultureInfo.InvariantCulture, $"| {alert} | {string.Join(", ", course)} |");
        text.AppendLine("\n| dashboard, panel | before | furthest | at | last |").AppendLine("| --- | --- | --- | --- | --- |");
        foreach (var (name, course) in _courses.Where(pair => pair.Value.IsNews).OrderBy(pair => pair.Key, StringComparer.Ordinal))
            text.AppendLine(CultureInfo.InvariantCulture, $"| {name} | {Tell(course.Before)} | {Tell(course.Furthest)} | {course.At:0} s | {Tell(course.Last)} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"\nOf {_courses.Count} lines on the dashboards the others stayed within a factor of three of what they were.");
        return text.ToString();
    }

    private async Task LookAsync()
    {
        var at = Now;
        var samples = await Task.WhenAll(_queries.Select(query => prometheus.QueryAsync(query.Expression)));
        foreach (var (query, rows) in _queries.Zip(samples))
        {
            foreach (var row in rows)
            {
                var name = Numbered($"{query.Place} ({query.Legend(row.Labels)})");
                if (!_courses.TryGetValue(name, out var course))
                    _courses[name] = course = new Course(at < 0.5 || _courses.Count == 0 ? row.Value : double.NaN);
                course.Add(row.Value, at);
            }
        }

        var raised = (await prometheus.AlertsAsync()).Where(alert => alert.State == "firing")
            .Select(alert => string.Join(' ', [alert.Name, .. alert.Labels.Where(label => label.Key is "reason" or "use" or "operation").Select(label => label.Value)])).ToHashSet();
        foreach (var alert in raised.Except(_raised))
            Note(alert, $"fires at {at:0} s");
        foreach (var alert in _raised.Except(raised))
            Note(alert, $"over at {at:0} s");
        _raised = raised;
    }

    private void Note(string alert, string what)
    {
        if (!_alerts.TryGetValue(alert, out var course))
            _alerts[alert] = course = [];
        course.Add(what);
    }

    private string Numbered(string text) =>
        Enumerable.Range(0, nodes.Count).Aggregate(text, (told, node) => told.Replace(nodes[node].Authority, $"node {node + 1}", StringComparison.Ordinal));

    private static string Tell(double value) => double.IsNaN(value) ? "–" : value.ToString("0.####", CultureInfo.InvariantCulture);

    private static IEnumerable<Query> Read(string folder) =>
        from file in Directory.EnumerateFiles(folder, "*.json").Order()
        let board = JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(file))
        from panel in board.GetProperty("panels").EnumerateArray()
        from target in panel.GetProperty("targets").EnumerateArray()
        select new Query(
            $"{board.GetProperty("title").GetString()}, {panel.GetProperty("title").GetString()}",
            target.GetProperty("expr").GetString()!.Replace("$instance", ".*", StringComparison.Ordinal).Replace("$__rate_interval", "5s", StringComparison.Ordinal),
            target.GetProperty("legendFormat").GetString()!);

    private sealed record Query(string Place, string Expression, string Format)
    {
        public string Legend(IReadOnlyDictionary<string, string> labels) =>
            labels.Aggregate(Format, (text, label) => text.Replace($"{{{{{label.Key}}}}}", label.Value, StringComparison.Ordinal));
    }

    /// <summary>One line of a panel over a scene.</summary>
    private sealed class Course(double before)
    {
        private const double Factor = 3;

        /// <summary>Less than this is nothing, for rates, shares and seconds alike.</summary>
        private const double Nothing = 0.001;

        public double Before { get; } = before;

        public double Furthest { get; private set; } = before;

        public double At { get; private set; }

        public double Last { get; private set; } = before;

        /// <summary>Did it change by a factor of three, or from or to nothing?</summary>
        public bool IsNews => Distance(Furthest) >= Factor;

        public void Add(double value, double at)
        {
            Last = value;
            if (double.IsFinite(value) && (double.IsNaN(Furthest) || Distance(value) > Distance(Furthest)))
                (Furthest, At) = (value, at);
        }

        private double Distance(double value)
        {
            var (low, high) = (Math.Max(Nothing, double.IsNaN(Before) ? 0 : Before), Math.Max(Nothing, double.IsNaN(value) ? 0 : value));
            return Math.Max(low, high) / Math.Min(low, high);
        }
    }
}
