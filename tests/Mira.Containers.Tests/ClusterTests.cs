using System.Collections.Concurrent;
using System.Net;

namespace Mira.Containers.Tests;

/// <summary>Three nodes on PostgreSQL and Redis behind nginx.</summary>
[NonParallelizable]
internal sealed class ClusterTests
{
    private ComposeProject _project = null!;
    private HttpClient _admin = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        await Engine.DemandAsync();
        _project = new ComposeProject { Files = ["docker-compose.yml", "build/compose/cluster.yml"] };
        var (exitCode, output) = await _project.TryComposeAsync("up", "-d", "--scale", "mira=3");
        Assert.That(exitCode, Is.Not.Zero);
        Assert.That(output, Does.Contain("The cluster needs an .env with secrets, which build/env.sh makes"));

        (exitCode, output) = await _project.RunAsync(_project.At("build", "env.sh"));
        Assert.That(exitCode, Is.Zero, output);
        await UpAsync();
        _admin = _project.Https(await _project.FirstAdminAsync());
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _admin?.Dispose();
        if (_project is not null)
            await _project.DisposeAsync();
    }

    [Test]
    public async Task A_key_lives_behind_the_balancer()
    {
        Assert.That(await _project.ContainersAsync("mira"), Has.Length.EqualTo(3));
        await KeyWalk.FromFirstToLastCallAsync(_admin, hasManyNodes: true);
    }

    [Test]
    public async Task Only_the_balancer_is_published()
    {
        var ports = await Engine.DockerAsync(
            "ps", "--filter", $"label=com.docker.compose.project={_project.Name}", "--format", "{{.Names}} {{.Ports}}");
        var published = ports.Split('\n').Where(line => line.Contains("->", StringComparison.Ordinal)).ToList();
        Assert.That(published, Has.Count.EqualTo(1).And.All.Contain("balancer"));
    }

    [Test]
    public async Task All_nodes_are_replaced_under_load_and_no_call_fails()
    {
        var (token, _) = await KeyWalk.CreateAsync(_admin, "under load", limit: 10_000_000);
        var before = await _project.ContainersAsync("mira");
        var failures = new ConcurrentBag<string>();
        var calls = 0;
        using var end = new CancellationTokenSource();
        using var kept = _project.Https();
        var clients = Enumerable.Range(0, 4).Select(number => Task.Run(() => CallAsync(number, token))).ToArray();

        var (exitCode, output) = await _project.RunAsync(_project.At("build", "compose", "roll.sh"));
        await end.CancelAsync();
        await Task.WhenAll(clients);

        Assert.That(exitCode, Is.Zero, output);
        Assert.That(await _project.ContainersAsync("mira"), Has.Length.EqualTo(3).And.None.AnyOf(before));
        TestContext.Out.WriteLine($"{calls} calls, {failures.Count} failed");
        Assert.That(failures, Is.Empty);
        Assert.That(calls, Is.GreaterThan(300));

        async Task CallAsync(int number, string key)
        {
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (!end.IsCancellationRequested)
            {
                // One client in four opens a connection for each call.
                using var own = number == 0 ? _project.Https() : null;
                try
                {
                    if (await KeyWalk.UseAsync(own ?? kept, key) is var status && status != HttpStatusCode.OK)
                        failures.Add($"{status}");
                }
                catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
                {
                    failures.Add(exception.Message);
                }

                Interlocked.Increment(ref calls);
                await pace.WaitForNextTickAsync(CancellationToken.None);
            }
        }
    }

    [Test]
    public async Task Down_and_up_keep_the_data()
    {
        var (token, _) = await KeyWalk.CreateAsync(_admin, "kept over down and up");
        await _project.ComposeAsync("down");
        await UpAsync();
        Assert.That(await KeyWalk.UseAsync(_admin, token), Is.EqualTo(HttpStatusCode.OK));
    }

    private async Task UpAsync()
    {
        await _project.ComposeAsync("up", "-d", "--scale", "mira=3");
        foreach (var node in await _project.ContainersAsync("mira"))
        {
            await ComposeProject.UntilAsync(
                async () => (
                    await Shell.RunAsync(
                        RepositoryFiles.Root,
                        "docker",
                        "exec",
                        node,
                        "dotnet",
                        "Mira.Web.dll",
                        "health")).ExitCode == 0, "a node is ready");
        }
    }
}
