using Mira.Load;

namespace Mira.Operations.Tests.Driver;

/// <summary>Short runs against real servers, by the program that build/load.sh calls.</summary>
internal sealed class SmokeRunTests
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Mira.Load.dll");

    [Test]
    public async Task Three_seconds_against_a_node_of_its_own_end_in_a_page()
    {
        using var folder = new TestFolder();
        var (exitCode, output) = await RunAsync(
            folder, "wrong-key-storm", "--seconds", "3", "--rate", "100", "--binary", Nodes.Binary);
        // A machine that is busy may miss the limits of latency, which is 1, and no run is cut short, which is 2.
        Assert.That(exitCode, Is.LessThan(2), output);
        Assert.That(output, Does.Contain("kept    failed requests: 0 (0)")
            .And.Contain("kept    responses of the planned requests: 300 (300)"));
        Assert.That(exitCode == 0, Is.EqualTo(!output.Contains("MISSED", StringComparison.Ordinal)), output);
        Assert.That(output, Does.Match(@"\n +2 s +\d+/s  p50 "), "progress while it runs");
        var page = await File.ReadAllTextAsync(folder.At("wrong-key-storm.html"));
        Assert.That(page, Does.Contain("<td>240</td>").And.Contain("bare endpoint"), "four of five are refused");
    }

    [Test]
    public async Task A_server_elsewhere_is_loaded_with_a_key_and_is_left_without_the_keys_of_the_run()
    {
        await using var node = await Nodes.StartAsync();
        using var folder = new TestFolder();
        var (exitCode, output) = await RunAsync(
            folder, "steady", "--seconds", "1", "--rate", "50", "--no-bare", "--url", node.Address.ToString(), "--key",
                node.Admin);
        Assert.That(exitCode, Is.LessThan(2), output);
        Assert.That(output, Does.Contain("with 100 keys, 50 requests")
            .And.Contain("responses of the planned requests: 50 (50)"));
        using var http = new HttpClient { BaseAddress = node.Address };
        http.DefaultRequestHeaders.Authorization = new("Bearer", node.Admin);
        var active = await http.GetStringAsync(new Uri("/api/keys?status=active&limit=200", UriKind.Relative));
        Assert.That(active, Does.Contain("first admin").And.Not.Contain("load test"));
    }

    [Test]
    public async Task A_server_that_is_not_Mira_is_loaded_without_a_key()
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await using var bare = await BareServer.StartAsync(timeout.Token);
        using var folder = new TestFolder();
        var (exitCode, output) = await RunAsync(
            folder, "steady", "--seconds", "1", "--rate", "50", "--no-bare", "--url", bare.Address.ToString(), "--path",
            "/");
        Assert.That(exitCode, Is.LessThan(2), output);
        Assert.That(output, Does.Contain("kept    failed requests: 0 (0)"));
    }

    [Test]
    public async Task A_run_that_misses_a_limit_or_cannot_begin_fails()
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await using var bare = await BareServer.StartAsync(timeout.Token);
        using var folder = new TestFolder();
        var (missed, output) = await RunAsync(
            folder, "steady", "--seconds", "1", "--rate", "20", "--no-bare", "--url", bare.Address.ToString(), "--path",
            "/gone");
        Assert.That(missed, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("MISSED  failed requests: 20 (0)").And.Contain("status 404"));
        Assert.That((await RunAsync(folder, "planted")).ExitCode, Is.EqualTo(2));
        Assert.That((await RunAsync(folder, "--help")).Output,
            Does.Contain("wrong-key-storm").And.Contain("--url URL"));
    }

    private static Task<(int ExitCode, string Output)> RunAsync(TestFolder folder, params string[] arguments) =>
        Shell.RunAsync(RepositoryFiles.Root, "dotnet", [Program, .. arguments, "--out", folder.Root]);
}
