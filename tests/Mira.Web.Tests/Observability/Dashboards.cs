using System.Text.Json;

namespace Mira.Web.Tests.Observability;

/// <summary>The shipped dashboards.</summary>
internal static class Dashboards
{
    public static IReadOnlyList<JsonElement> All { get; } = [.. Directory.EnumerateFiles(Path.Combine(RepositoryFiles.At("build", "grafana"), "dashboards"), "*.json").Order()
        .Select(file => JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(file)))];

    public static IEnumerable<Panel> Panels => All.SelectMany(board => board.GetProperty("panels").EnumerateArray().Select(panel => new Panel(board.Text("title"), panel)));

    /// <summary>Every query of every panel.</summary>
    public static IEnumerable<(string Place, string Expression)> Queries =>
        from panel in Panels
        from target in panel.Json.GetProperty("targets").EnumerateArray()
        select ($"{panel.Board}, {panel.Title}", target.Text("expr"));

    /// <summary>As Grafana would send it, all nodes chosen.</summary>
    public static string Fill(string expression) => expression
        .Replace("$instance", ".*", StringComparison.Ordinal)
        .Replace("$__rate_interval", "5s", StringComparison.Ordinal);

    public static string Text(this JsonElement json, string name) => json.GetProperty(name).GetString()!;

    internal sealed record Panel(string Board, JsonElement Json)
    {
        public string Title => Json.Text("title");

        public JsonElement Defaults => Json.GetProperty("fieldConfig").GetProperty("defaults");
    }
}
