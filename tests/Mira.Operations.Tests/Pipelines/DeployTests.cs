using System.Diagnostics;
using Mira.Operations.Tests.Manifests;

namespace Mira.Operations.Tests.Pipelines;

/// <summary>
/// What build/deploy.sh asks of the cluster, seen by a stand-in for kubectl, and a smoke test against a real node.
/// </summary>
internal sealed class DeployTests
{
    private const string Image = "registry.example.com/team/mira:1.2.3";

    [Test]
    public async Task A_deployment_is_applied_awaited_and_tried()
    {
        await using var node = await Nodes.StartAsync();
        using var cluster = new StandIn(revision: "7");
        var (exitCode, output) = await cluster.DeployAsync(node.Address, node.Admin, "production", "--image", Image);
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(cluster.Calls,
            Is.EqualTo(new[] { "get deployment", "apply -k artifacts/deploy", "rollout status" }));
        Assert.That(output, Does.Contain("ok: a key works").And.Contain("production runs").And.Not.Contain(node.Admin));
    }

    [Test]
    public async Task A_rollout_that_does_not_end_is_undone()
    {
        using var cluster = new StandIn(revision: "7", failing: "rollout status");
        var (exitCode, output) = await cluster.DeployAsync(new Uri("http://127.0.0.1:9"), null, "production");
        Assert.That(exitCode, Is.EqualTo(1), output);
        Assert.That(cluster.Calls, Is.EqualTo(new[]
        {
            "get deployment", "apply -k build/k8s/overlays/production", "rollout status", "get pods",
                "rollout undo --to-revision=7", "rollout status",
        }));
        Assert.That(output, Does.Contain("the rollout did not end"));
    }

    [Test]
    public async Task A_failed_smoke_test_is_undone()
    {
        await using var node = await Nodes.StartAsync();
        using var cluster = new StandIn(revision: "7");
        var (exitCode, output) = await cluster.DeployAsync(node.Address, "mira_key_wrong", "single");
        Assert.That(exitCode, Is.EqualTo(1), output);
        Assert.That(cluster.Calls, Does.Contain("rollout undo --to-revision=7"));
        Assert.That(output, Does.Contain("FAILED: a key works").And.Contain("revision 7 runs again"));
    }

    [Test]
    public async Task The_first_deployment_cannot_be_undone_and_says_so()
    {
        using var cluster = new StandIn(revision: "", failing: "rollout status");
        var (exitCode, output) = await cluster.DeployAsync(new Uri("http://127.0.0.1:9"), null, "single");
        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(cluster.Calls, Has.None.StartsWith("rollout undo"));
        Assert.That(output, Does.Contain("there is nothing to go back to"));
    }

    [TestCase("registry.example.com/team/mira:1.2.3")]
    [TestCase("registry.example.com:5000/team/mira@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public async Task An_image_takes_the_place_of_that_of_the_overlay(string image)
    {
        await Overlay.DemandKubectlAsync();
        foreach (var overlay in (string[])["single", "production"])
        {
            var (exitCode, output) = await Shell.RunAsync(
                RepositoryFiles.Root, Script("deploy"), overlay, "--image", image, "--dry-run");
            Assert.That(exitCode, Is.Zero, output);
            Assert.That(output, Does.Contain($"image: {image}\n").And.Not.Contain("ghcr.io/"));
        }
    }

    [Test]
    public async Task What_is_released_is_what_the_overlays_deploy()
    {
        var deployed = (await Overlay.OfAsync("production")).Node.Image.Split(':')[0];
        Assert.That(RepositoryFiles.Read("build", "release.sh"), Does.Contain($"image=${{MIRA_IMAGE:-{deployed}}}\n"));
        Assert.That(RepositoryFiles.Read("build", "deploy.sh"), Does.Contain($"name={deployed}\n"));
        var registry = deployed.Split('/')[0];
        Assert.That(RepositoryFiles.Read(".github", "workflows", "release.yml"),
            Does.Contain($"MIRA_IMAGE: {registry}/${{{{ github.repository }}}}\n"));
        Assert.That(RepositoryFiles.Read(".github", "workflows", "deploy.yml"),
            Does.Contain($"IMAGE: {registry}/${{{{ github.repository }}}}:${{{{ inputs.version }}}}\n"));
    }

    [Test]
    public async Task A_wrong_command_line_is_refused()
    {
        foreach (var arguments in (
            string[][])[[], ["planted"], ["single", "--image"], ["single", "--planted"],
            ["single", "--image", "untagged", "--dry-run"]])
        {
            Assert.That((await Shell.RunAsync(RepositoryFiles.Root, Script("deploy"), arguments)).ExitCode,
                Is.EqualTo(2), string.Join(' ', arguments));
        }
    }

    [Test]
    public async Task A_smoke_test_fails_where_nobody_listens()
    {
        var (exitCode, output) = await Shell.RunAsync(RepositoryFiles.Root, Script("smoke"), "http://127.0.0.1:9");
        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(output, Does.Contain("FAILED: the process is alive"));
    }

    [Test]
    public async Task A_scan_says_what_it_could_not_check()
    {
        var (exitCode, output) = await Shell.RunAsync(RepositoryFiles.Root, Script("scan"), "--image", "planted:image");
        Assert.That(output, Does.Match(@"scan\.sh: \d checked, \d not checked, \d with known vulnerabilities"));
        Assert.That(output.Split('\n').Count(line => line.Contains("packages of NuGet", StringComparison.Ordinal)),
            Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("NOT CHECKED: image planted:image"));
        Assert.That(exitCode, Is.EqualTo(output.Contains("\nVULNERABLE", StringComparison.Ordinal) ? 1 : 0), output);
    }

    private static string Script(string name) => RepositoryFiles.At("build", $"{name}.sh");

    /// <summary>A kubectl that notes what it is asked, and fails where a test wants it to.</summary>
    private sealed class StandIn : IDisposable
    {
        private readonly TestFolder _folder = new();

        /// <param name="revision">The revision of the deployment that runs before; empty for none.</param>
        /// <param name="failing">The first call like this fails.</param>
        public StandIn(string revision, string failing = "nothing")
        {
            File.WriteAllText(_folder.At("kubectl"), $"""
                #!/bin/sh
                [ "$1" = --namespace ] && shift 2
                call="$1 $2"
                case $call in
                    'apply -k') call="$call $3" ;;
                    'rollout undo') call="$call $4" ;;
                    'get deployment') printf '%s' '{revision}' ;;
                esac
                echo "$call" >>'{_folder.At("calls")}'
                if [ "$call" = '{failing}' ] && [ ! -e '{_folder.At("failed")}' ]; then
                    touch '{_folder.At("failed")}'
                    exit 1
                fi
                """);
            File.SetUnixFileMode(_folder.At("kubectl"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        public IEnumerable<string> Calls => File.ReadAllLines(_folder.At("calls"));

        public Task<(int ExitCode, string Output)> DeployAsync(
            Uri address, string? key, params string[] arguments)
        {
            var start = new ProcessStartInfo(Script("deploy"), arguments);
            start.Environment["PATH"] = $"{_folder.Root}:{Environment.GetEnvironmentVariable("PATH")}";
            start.Environment["MIRA_SMOKE_URL"] = address.ToString();
            start.Environment["MIRA_SMOKE_KEY"] = key;
            return Shell.RunAsync(start);
        }

        public void Dispose() => _folder.Dispose();
    }
}
