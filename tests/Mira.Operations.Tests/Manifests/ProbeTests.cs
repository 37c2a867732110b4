using System.Globalization;
using System.Net;
using k8s.Models;
using Mira.Load;
using Mira.TestServers;

namespace Mira.Operations.Tests.Manifests;

/// <summary>
/// A real node, started with the settings of the overlays, responds to each probe as the manifest expects.
/// </summary>
internal sealed class ProbeTests
{
    [Test]
    public async Task A_node_with_the_settings_of_the_single_overlay_is_ready_and_fits_its_limit()
    {
        var overlay = await Overlay.OfAsync("single");
        using var volume = new Volume();
        await using var node = await Nodes.StartAsync(volume.Settings(overlay));
        Assert.That(await StatusesAsync(node, overlay.Node),
            Is.EqualTo(new[] { HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK }));
        Assert.That(node.Admin, Does.StartWith("mira_key_"));
        Assert.That(MemoryOf(node), Is.LessThan((long)overlay.Node.Resources.Limits["memory"].ToDecimal()));
    }

    [Test]
    public async Task A_stopping_node_is_live_and_not_ready()
    {
        var overlay = await Overlay.OfAsync("single");
        using var volume = new Volume();
        await using var node = await Nodes.StartAsync([.. volume.Settings(overlay), ("MIRA_DRAIN_SECONDS", "300")]);
        Nodes.Signal(node, "TERM");
        using var http = new HttpClient { BaseAddress = node.Address };
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await StatusAsync(http, overlay.Node.ReadinessProbe) is HttpStatusCode.OK)
            await timer.WaitForNextTickAsync(timeout.Token);

        Assert.That(await StatusAsync(http, overlay.Node.ReadinessProbe), Is.EqualTo(HttpStatusCode.ServiceUnavailable),
            "no request is sent to it any more");
        Assert.That(await StatusAsync(http, overlay.Node.LivenessProbe), Is.EqualTo(HttpStatusCode.OK),
            "it is not killed");
        // A second signal ends the wait.
        Nodes.Signal(node, "TERM");
        await node.Process.WaitForExitAsync(timeout.Token);
        Assert.That(node.Process.ExitCode, Is.Zero);
    }

    [Test]
    public async Task A_node_with_the_settings_of_the_production_overlay_is_ready()
    {
        var overlay = await Overlay.OfAsync("production");
        var postgres = await SharedPostgres.ServerAsync();
        await using var redis = await RedisServer.StartAsync();
        using var volume = new Volume();
        var settings = volume.Settings(overlay);
        await volume.RunAsync(overlay.Pod.InitContainers.Single());
        await using var node = await Nodes.StartAsync(
        [
            .. settings,
            ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", redis.Port.ToString(CultureInfo.InvariantCulture)),
            ("MIRA_POSTGRES", postgres.ConnectionString(await postgres.CreateDatabaseAsync())),
            ("MIRA_PEPPER", Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))),
            ("MIRA_AUDIT_KEY", NewAuditKey()),
        ]);
        Assert.That(await StatusesAsync(node, overlay.Node),
            Is.EqualTo(new[] { HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK }));
        Assert.That(node.Admin, Does.StartWith("mira_key_"), "the first admin key is in the volume and in no log");
        Assert.That(node.Output, Does.Not.Contain(node.Admin));
    }

    [Test]
    public async Task Live_does_not_depend_on_the_database_and_ready_does()
    {
        foreach (var name in (string[])["single", "production"])
        {
            var node = (await Overlay.OfAsync(name)).Node;
            Assert.That(Path(node.LivenessProbe), Is.EqualTo("/health/live"));
            Assert.That(Path(node.StartupProbe), Is.EqualTo("/health/live"));
            Assert.That(Path(node.ReadinessProbe), Is.EqualTo("/health/ready"));
            Assert.That(node.StartupProbe.PeriodSeconds * node.StartupProbe.FailureThreshold, Is.GreaterThan(2 * 69),
                "indexes over a million keys were made in 69 s");
        }
    }

    private static async Task<HttpStatusCode[]> StatusesAsync(OwnNode node, V1Container container)
    {
        using var http = new HttpClient { BaseAddress = node.Address };
        return
        [
            await StatusAsync(http, container.StartupProbe), await StatusAsync(http, container.LivenessProbe),
                await StatusAsync(http, container.ReadinessProbe),
        ];
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, V1Probe probe)
    {
        using var response = await http.GetAsync(new Uri(Path(probe), UriKind.Relative));
        return response.StatusCode;
    }

    private static string Path(V1Probe probe) => probe.HttpGet.Path;

    private static string NewAuditKey()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(
            System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        return key.ExportPkcs8PrivateKeyPem();
    }

    private static long MemoryOf(OwnNode node)
    {
        node.Process.Refresh();
        return node.Process.WorkingSet64;
    }

    /// <summary>A volume as Kubernetes mounts it with fsGroup: at its top its group may write.</summary>
    private sealed class Volume : IDisposable
    {
        private readonly TestFolder _folder = new();

        private string Top => _folder.At("data");

        /// <summary>Runs the command of a container that runs before Mira.</summary>
        public async Task RunAsync(V1Container first)
        {
            var (exitCode, output) = await Shell.RunAsync(
                Top, first.Command[0], [.. first.Command.Skip(1).Select(InVolume)]);
            Assert.That(exitCode, Is.Zero, output);
        }

        public (string Name, string Value)[] Settings(Overlay overlay)
        {
            _folder.Make("data");
            const UnixFileMode Group = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.SetGroup;
            File.SetUnixFileMode(
                Top, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | Group);
            return [.. overlay.Settings.Where(setting => setting.Key != "ASPNETCORE_URLS")
                .Select(setting => (setting.Key, InVolume(setting.Value)))];
        }

        private string InVolume(string text) => text.Replace("/data", Top, StringComparison.Ordinal);

        public void Dispose() => _folder.Dispose();
    }
}
