using System.Diagnostics;
using System.Net;
using Mira.Domain.Ledger;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>Starting with PostgreSQL: alone, with others, and not at all.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class PostgresStartTests
{
    private const string Canary = "hunter2-canary";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    [TestCase("MIRA_POSTGRES", "")]
    [TestCase("MIRA_POSTGRES", "postgres://mira:" + Canary + "@127.0.0.1/mira")]
    [TestCase("MIRA_POSTGRES", "Host=127.0.0.1;Port=1;Database=mira;Username=mira;Password=" + Canary)]
    [TestCase("MIRA_PEPPER", "")]
    [TestCase("MIRA_PEPPER", Canary + " is not base64")]
    [TestCase("MIRA_AUDIT_KEY", "")]
    [TestCase("MIRA_AUDIT_KEY", Canary)]
    public async Task An_impossible_setting_stops_the_start(string name, string value)
    {
        var settings = (await SharedStore.NewAsync()).Select(setting => setting.Name == name ? (name, value) : setting).ToArray();
        await ExpectRefusalAsync(name, settings);
    }

    [Test]
    public async Task A_server_that_does_not_answer_stops_the_start()
    {
        using var proxy = TcpProxy.Start(FreePort.Find());
        proxy.Hold();
        await ExpectRefusalAsync(
            "MIRA_POSTGRES", SharedStore.SettingsFor($"Host=127.0.0.1;Port={proxy.Port};Database=mira;Username=mira;Password={Canary}"));
    }

    [Test]
    public async Task Nodes_that_start_at_once_on_an_empty_database_make_one_admin_key_and_need_no_folder()
    {
        using var folder = new TestFolder();
        (string, string)[] settings = [.. await SharedStore.NewAsync(), ("MIRA_BOOTSTRAP_KEY_FILE", "")];
        var nodes = Enumerable.Range(0, 3).Select(_ => MiraProcess.Start(folder, settings)).ToList();
        try
        {
            foreach (var node in nodes)
                await node.WaitUntilReadyAsync();

            var shown = nodes.SelectMany(node => node.Error.Split('\n')).Where(line => line.StartsWith("The first admin key", StringComparison.Ordinal)).ToList();
            Assert.That(shown, Has.Count.EqualTo(1));
            var token = shown[0].Trim().Split(' ')[^1];
            foreach (var node in nodes)
            {
                using var client = node.Http(token);
                using var keys = await client.GetAsync("/api/keys");
                Assert.That(keys.StatusCode, Is.EqualTo(HttpStatusCode.OK));
                Assert.That((await keys.Content.ReadAsStringAsync()).Split("\"key_id\":").Length - 1, Is.EqualTo(1));
            }

            Assert.That(Directory.Exists(folder.Data), Is.False);
        }
        finally
        {
            foreach (var node in nodes)
                await node.DisposeAsync();
        }
    }

    [Test]
    public async Task Another_audit_key_takes_over_node_by_node_and_the_old_ones_record_nothing_meanwhile()
    {
        using var folder = new TestFolder();
        var settings = await SharedStore.NewAsync();
        var next = AuditKey.Generate();
        var named = settings.Select(setting => setting.Name == "MIRA_AUDIT_KEY" ? (setting.Name, next.ExportPem() + SharedStore.AuditKeyPem) : setting).ToArray();
        await using var old = MiraHost.Start(folder: folder, settings: settings);
        var key = await old.NewKeyAsync("viewer");

        await using (var first = MiraHost.Start(folder: folder, settings: named))
        {
            var refused = await old.Http(old.Admin).CallAsync("POST", "/api/keys", """{"name":"late","role":"viewer"}""");
            Assert.That(refused.Verdict, Is.EqualTo("503 audit_unavailable"));
            Assert.That((await old.Http(old.Admin).CallAsync("GET", "/health")).Field("status"), Is.EqualTo("degraded"));
            Assert.That((await old.Http(key).CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"), "what is known is still verified");
            await first.NewKeyAsync("viewer");
            Assert.That((await first.Http(old.Admin).CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
        }

        var (exitCode, _, error) = await MiraProcess.RunAsync(folder, [], settings);
        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(error, Does.Contain("has taken over from it"));
        (exitCode, var output, error) = await MiraProcess.RunAsync(folder, ["audit", "verify"], named);
        Assert.That(exitCode, Is.Zero, error);
        Assert.That(output, Does.Contain("are whole"));
    }

    [Test]
    public async Task Verbs_work_beside_nodes_that_serve()
    {
        using var folder = new TestFolder();
        var settings = await SharedStore.NewAsync();
        await using var node = MiraHost.Start(folder: folder, settings: settings);

        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "rescue"], settings);
        Assert.That(exitCode, Is.Zero, error);
        var answer = await node.Http(output.Trim()).GetAsync("/api/keys");
        Assert.That(answer.StatusCode, Is.EqualTo(HttpStatusCode.OK));

        (exitCode, output, error) = await MiraProcess.RunAsync(folder, ["pepper", "status"], settings);
        Assert.That(exitCode, Is.Zero, error);
        Assert.That(output.Trim(), Does.Match(@"\A[0-9a-f]{8} current 2\z"));
    }

    private static async Task ExpectRefusalAsync(string name, params (string Name, string Value)[] settings)
    {
        using var folder = new TestFolder();
        var idle = Stopwatch.StartNew();
        await MiraProcess.RunAsync(folder, ["no-such-verb"]);
        // What a process costs on this machine now: a busy one is no fault of the service.
        var patience = Limit + (20 * idle.Elapsed);

        var started = Stopwatch.StartNew();
        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, [], settings);
        Assert.That(exitCode, Is.EqualTo(1), output + error);
        Assert.That(started.Elapsed, Is.LessThan(patience), error);
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), error);
        Assert.That(error, Does.StartWith($"mira: {name}: "));
        Assert.That(error + output, Does.Not.Contain(Canary));
        Assert.That(output, Does.Not.Contain("   at "), output);
    }
}
