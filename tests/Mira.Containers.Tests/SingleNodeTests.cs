using System.Globalization;
using System.Net;

namespace Mira.Containers.Tests;

/// <summary>docker-compose up -d without an .env, and what it withstands.</summary>
[NonParallelizable]
internal sealed class SingleNodeTests
{
    private const string Sentence = "This profile needs an .env with secrets, which build/env.sh makes";

    private ComposeProject _project = null!;
    private HttpClient _http = null!;
    private HttpClient _admin = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        await Engine.DemandAsync();
        _project = new ComposeProject();
        await _project.ComposeAsync("up", "-d");
        _http = ComposeProject.Http(_project.Port);
        await ComposeProject.UntilReadyAsync(_http);
        _admin = ComposeProject.Http(_project.Port, await _project.FirstAdminAsync());
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _http?.Dispose();
        _admin?.Dispose();
        if (_project is not null)
            await _project.DisposeAsync();
    }

    [Test]
    public async Task Health_and_Swagger_answer_and_the_first_key_opens_the_rest()
    {
        Assert.That(await _http.GetStringAsync("/health"), Does.Contain("\"status\":\"healthy\""));
        Assert.That(await _http.GetStringAsync("/swagger/"), Does.Contain("swagger-ui"));
        Assert.That(
            await _http.GetStringAsync("/swagger/v1/swagger.json"),
            Is.EqualTo(RepositoryFiles.Read("docs", "openapi.json")));
        await KeyWalk.FromFirstToLastCallAsync(_admin);
        Assert.That(
            await _admin.GetStringAsync("/health"),
            Does.Contain("\"redis\":true").And.Contain("\"limits_shared\":true"));
        Assert.That(
            await _project.ComposeAsync("logs", "--no-color"),
            Does.Not.Match("mira_key_[0-9A-Za-z]{12}_"),
            "no token is in a log");
    }

    [TestCase("README.md", "docker-compose up -d   ")]
    [TestCase("docs/containers.md", "docker-compose up -d\n")]
    public async Task The_first_commands_of_a_document_work_when_pasted(string document, string begin)
    {
        var text = RepositoryFiles.Read(document);
        var start = text.IndexOf($"```sh\n{begin}", StringComparison.Ordinal) + "```sh\n".Length;
        var commands = text[start..text.IndexOf("```", start, StringComparison.Ordinal)]
            .Replace(":5000", $":{_project.Port}", StringComparison.Ordinal)
            // Nobody sits at a terminal here.
            .Replace("exec mira", "exec -T mira", StringComparison.Ordinal);
        var (exitCode, output) = await _project.RunAsync("bash", "-euc", commands);
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output, Does.Contain(_admin.DefaultRequestHeaders.Authorization!.Parameter!));
    }

    [Test]
    public async Task Only_Mira_is_published_and_on_loopback_alone()
    {
        var mira = await Engine.InspectAsync(await _project.ContainerAsync("mira"), "{{json .NetworkSettings.Ports}}");
        Assert.That(
            mira, Is.EqualTo($"{{\"5000/tcp\":[{{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"{_project.Port}\"}}]}}"));
        Assert.That(
            await Engine.InspectAsync(await _project.ContainerAsync("redis"), "{{json .HostConfig.PortBindings}}"),
            Is.EqualTo("{}").Or.EqualTo("null"));
        Assert.That(await Engine.InspectAsync($"{_project.Name}_inner", "{{.Internal}}"), Is.EqualTo("true"));
    }

    [Test]
    public async Task The_container_runs_as_nobody_special_and_writes_only_its_volume()
    {
        var mira = await _project.ContainerAsync("mira");
        Assert.That(
            await Engine.InspectAsync(mira, "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}"),
            Is.EqualTo("1654:1654 true [ALL]"));
        Assert.That(
            await Engine.InspectAsync(mira, "{{range .Mounts}}{{.Type}} {{.Destination}} {{end}}"),
            Is.EqualTo("volume /data"));
        Assert.That(
            (await _project.TryComposeAsync("exec", "-T", "mira", "touch", "/mira/planted")).ExitCode, Is.Not.Zero);
        Assert.That(
            await _project.ComposeAsync("exec", "-T", "mira", "stat", "-c", "%U %a", "/data"), Is.EqualTo("app 700\n"));
        await ComposeProject.UntilAsync(
            async () => await Engine.InspectAsync(mira, "{{.State.Health.Status}}") == "healthy",
            "the health check of the image succeeds");
    }

    [Test]
    public async Task The_image_is_small_and_says_what_it_is()
    {
        var size = long.Parse(await Engine.InspectAsync("mira:test", "{{.Size}}"), CultureInfo.InvariantCulture);
        var runtime = long.Parse(
            await Engine.InspectAsync("mcr.microsoft.com/dotnet/aspnet:10.0", "{{.Size}}"),
            CultureInfo.InvariantCulture);
        TestContext.Out.WriteLine(
            $"the image: {size / 1e6:F0} MB, {(size - runtime) / 1e6:F0} MB more than the runtime's");
        Assert.That(size - runtime, Is.LessThanOrEqualTo(60_000_000));

        var labels = await Engine.InspectAsync("mira:test", "{{json .Config.Labels}}");
        Assert.That(
            labels,
            Does.Match(
                "\"org.opencontainers.image.version\":\"[0-9]+\\.[0-9]+\\.[0-9]+").And.Match(
                    "\"org.opencontainers.image.revision\":\"([0-9a-f]{40}|unknown)\""));
    }

    // The seconds that it worked are what the start costs, whatever else the machine does. docs/containers.md has them.
    [Test]
    public async Task A_restarted_container_is_ready_and_its_start_is_measured()
    {
        var (taken, worked) = await RestartAsync();
        TestContext.Out.WriteLine($"from start to ready: {taken:F1} s, of which it worked {worked:F1} s");
        Assert.That(worked, Is.Positive);
    }

    [Test]
    public async Task What_is_killed_comes_back_and_has_lost_nothing()
    {
        var (token, _) = await KeyWalk.CreateAsync(_admin, "kept over a crash");
        await Engine.CrashAsync(await _project.ContainerAsync("redis"));
        Assert.That(await KeyWalk.UseAsync(_http, token), Is.EqualTo(HttpStatusCode.OK), "without Redis");

        var mira = await _project.ContainerAsync("mira");
        var before = await Engine.InspectAsync(mira, "{{.State.StartedAt}}");
        await Engine.CrashAsync(mira);
        await ComposeProject.UntilAsync(
            async () => await Engine.InspectAsync(mira, "{{.State.StartedAt}}") != before,
            "the engine has started Mira again");
        await ComposeProject.UntilReadyAsync(_http);
        Assert.That(await KeyWalk.UseAsync(_http, token), Is.EqualTo(HttpStatusCode.OK));
        await ComposeProject.UntilAsync(
            async () => (await _admin.GetStringAsync("/health")).Contains("\"redis\":true", StringComparison.Ordinal),
            "Redis is back");
    }

    [TestCase("production")]
    [TestCase("monitoring")]
    public async Task A_profile_without_its_secrets_stops_and_says_how_to_get_them(string profile)
    {
        var (exitCode, output) = await _project.TryComposeAsync("--profile", profile, "up", "-d");
        Assert.That(exitCode, Is.Not.Zero);
        Assert.That(output, Does.Contain(Sentence));
        Assert.That(
            (await _http.GetAsync("/health/ready")).StatusCode, Is.EqualTo(HttpStatusCode.OK), "the base goes on");
    }

    [Test]
    public async Task Down_and_up_keep_the_data()
    {
        var (token, _) = await KeyWalk.CreateAsync(_admin, "kept over down and up");
        var mira = await _project.ContainerAsync("mira");
        await _project.ComposeAsync("stop");
        Assert.That(
            await Engine.InspectAsync(mira, "{{.State.ExitCode}}"), Is.EqualTo("0"), "it ended by itself and was not killed");
        await _project.ComposeAsync("--profile", "production", "--profile", "monitoring", "down");

        await _project.ComposeAsync("up", "-d");
        await ComposeProject.UntilReadyAsync(_http);
        Assert.That(await KeyWalk.UseAsync(_http, token), Is.EqualTo(HttpStatusCode.OK));
        Assert.That(
            await _project.FirstAdminAsync(), Is.EqualTo(_admin.DefaultRequestHeaders.Authorization!.Parameter));
    }

    /// <summary>Returns the seconds from the start of the container to the first time it is ready.</summary>
    private async Task<(double Taken, double Worked)> RestartAsync()
    {
        var mira = await _project.ContainerAsync("mira");
        await Engine.DockerAsync("restart", "--time", "0", mira);
        await ComposeProject.UntilReadyAsync(_http);
        var ready = DateTimeOffset.UtcNow;
        // Fields 14 and 15 of the process are what it has worked, in hundredths.
        var fields = (await Engine.DockerAsync("exec", mira, "cat", "/proc/1/stat")).Split(' ');
        var worked = fields[13..15].Sum(field => double.Parse(field, CultureInfo.InvariantCulture)) / 100;
        var begun = await Engine.InspectAsync(mira, "{{.State.StartedAt}}");
        return ((ready - DateTimeOffset.Parse(begun, CultureInfo.InvariantCulture)).TotalSeconds, worked);
    }
}
