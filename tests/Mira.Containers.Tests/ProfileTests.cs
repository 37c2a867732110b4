using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Mira.Containers.Tests;

/// <summary>The profiles dev, production and monitoring, with the secrets that build/env.sh makes.</summary>
[NonParallelizable]
internal sealed class ProfileTests
{
    private ComposeProject _project = null!;
    private HttpClient _https = null!;
    private string _admin = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        await Engine.DemandAsync();
        _project = new ComposeProject();
        var (exitCode, output) = await _project.RunAsync(_project.At("build", "env.sh"));
        Assert.That(exitCode, Is.Zero, output);
        await _project.ComposeAsync(
            "--profile", "dev", "--profile", "production", "--profile", "monitoring", "up", "-d");
        _https = _project.Https();
        await ComposeProject.UntilReadyAsync(_https);
        _admin = await _project.FirstAdminAsync();
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _https?.Dispose();
        if (_project is not null)
            await _project.DisposeAsync();
    }

    [Test]
    public async Task Production_serves_keys_over_TLS()
    {
        using var admin = _project.Https(_admin);
        await KeyWalk.FromFirstToLastCallAsync(admin);
        Assert.That(await admin.GetStringAsync("/health"), Does.Contain("\"redis\":true"));
    }

    [TestCase("/metrics")]
    [TestCase("/Metrics")]
    [TestCase("//metrics")]
    [TestCase("/%6Detrics")]
    [TestCase("/metrics/")]
    [TestCase("/x/../metrics")]
    [TestCase("/swagger")]
    [TestCase("/swagger/")]
    [TestCase("/SWAGGER/v1/swagger.json")]
    public async Task Production_closes_what_is_for_the_inside(string path)
    {
        using var call = new HttpRequestMessage(
            HttpMethod.Get, new Uri(
                $"https://localhost:{_project.HttpsPort}{path}",
                new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        Assert.That((await _https.SendAsync(call)).StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task Production_refuses_what_is_too_large()
    {
        using var body = new StringContent(new string('x', 65 * 1024));
        Assert.That(
            (await _https.PostAsync("/api/keys", body)).StatusCode, Is.EqualTo(HttpStatusCode.RequestEntityTooLarge));

        using var call = new HttpRequestMessage(HttpMethod.Get, "/health");
        call.Headers.Add("X-Planted", new string('x', 9 * 1024));
        Assert.That((await _https.SendAsync(call)).StatusCode, Is.EqualTo(HttpStatusCode.BadRequest));
    }

    [Test]
    public async Task Production_forwards_the_callers_address_and_believes_nobody_elses_word()
    {
        using var admin = _project.Https(_admin);
        using var call = new HttpRequestMessage(HttpMethod.Post, "/api/keys")
        {
            Content = JsonContent.Create(new { name = "forged", role = "viewer" }),
        };
        call.Headers.Add("X-Forwarded-For", "203.0.113.9");
        var created = JsonElement.Parse(await (await admin.SendAsync(call)).Content.ReadAsStringAsync());
        var trail = await admin.GetStringAsync($"/api/audit?key_id={created.GetProperty("key_id").GetString()}");
        var address =
            JsonElement.Parse(trail).GetProperty("events")[0].GetProperty("actor").GetProperty("ip").GetString();
        Assert.That(address, Is.Not.EqualTo("203.0.113.9"));
        Assert.That(address, Does.Not.EndWith(".10"), "the address is the caller's, not nginx's");

        using var direct = ComposeProject.Http(_project.Port, _admin);
        using var forged = new HttpRequestMessage(HttpMethod.Get, "/health");
        forged.Headers.Add("X-Forwarded-For", "203.0.113.9");
        Assert.That(
            await (await direct.SendAsync(forged)).Content.ReadAsStringAsync(),
            Does.Contain("\"forwarding_ignored\":true"));
    }

    [Test]
    public async Task Redis_asks_for_its_password()
    {
        Assert.That(await _project.ComposeAsync("exec", "-T", "redis", "redis-cli", "ping"), Does.Contain("NOAUTH"));
        var processes = await Engine.DockerAsync("top", await _project.ContainerAsync("redis"), "-o", "pid,args");
        Assert.That(processes, Does.Contain("redis-server").And.Not.Contain(_project.Secret("REDIS_PASSWORD")));
    }

    [Test]
    public async Task Dev_shows_Redis_on_this_machine_alone()
    {
        using var commander = ComposeProject.Http(_project.CommanderPort);
        await ComposeProject.UntilAsync(
            async () => (await commander.GetStringAsync("/"))
                .Contains("Redis Commander", StringComparison.OrdinalIgnoreCase),
            "Redis Commander answers");
        var ports = await Engine.InspectAsync(
            await _project.ContainerAsync("redis-commander"), "{{json .HostConfig.PortBindings}}");
        Assert.That(ports, Does.Contain("\"HostIp\":\"127.0.0.1\""));
    }

    [Test]
    public async Task Monitoring_scrapes_the_node_and_knows_all_rules()
    {
        using var prometheus = ComposeProject.Http(_project.PrometheusPort);
        await ComposeProject.UntilAsync(
            async () =>
            {
                var answer = JsonElement.Parse(await prometheus.GetStringAsync("/api/v1/targets"));
                var targets = answer.GetProperty("data").GetProperty("activeTargets");
                return targets.EnumerateArray().Any(target =>
                    target.GetProperty("labels").GetProperty("job").GetString() == "mira"
                    && target.GetProperty("health").GetString() == "up");
            },
            "Prometheus has scraped Mira");
        var seen = JsonElement.Parse(
            await prometheus.GetStringAsync("/api/v1/query?query=redis_up")).GetProperty("data").GetProperty("result");
        Assert.That(seen.GetArrayLength(), Is.Positive);
        var rules = await prometheus.GetStringAsync("/api/v1/rules");
        Assert.That(
            rules, Does.Contain("MiraDown").And.Contain("MiraErrorBudgetBurn").And.Not.Contain("\"health\":\"err\""));
    }

    [Test]
    public async Task Monitoring_gives_Grafana_its_password_and_its_files()
    {
        var grafana = await _project.ContainerAsync("grafana");
        Assert.That(await Engine.InspectAsync(grafana, "{{.State.Running}} {{.RestartCount}}"), Is.EqualTo("true 0"));
        Assert.That(
            await Engine.InspectAsync(grafana, "{{.Config.Env}}"),
            Does.Contain($"GF_SECURITY_ADMIN_PASSWORD={_project.Secret("GRAFANA_PASSWORD")}"));
        var listed = await _project.ComposeAsync("exec", "-T", "grafana", "ls", "/etc/grafana/dashboards");
        Assert.That(listed.Split('\n').Count(name => name.EndsWith(".json", StringComparison.Ordinal)), Is.EqualTo(4));
    }
}
