using System.Diagnostics;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Docs;

/// <summary>The commands of the README and of docs/several-nodes.md work when they are pasted into a shell.</summary>
internal sealed class ReadmeTests
{
    [Test]
    public async Task Every_command_of_the_walk_works_when_pasted()
    {
        await using var mira = MiraHost.Start();
        var commands = Block("README.md", "MIRA=http").Replace("http://localhost:5000", mira.Address.ToString().TrimEnd('/'), StringComparison.Ordinal);

        var output = await PasteAsync(commands, ("ADMIN", mira.Admin));

        Assert.Multiple(() =>
        {
            Assert.That(output, Does.Contain("\"status\":\"healthy\""));
            Assert.That(output, Does.Contain("\"name\":\"ci-pipeline\""));
            Assert.That(output, Does.Contain("\"valid\":true,\"code\":\"valid\""));
            Assert.That(output, Does.Contain("X-Mira-Role: operator"));
            Assert.That(output, Does.Contain("Mira-Key-Superseded: "));
            Assert.That(output, Does.Contain("\"code\":\"key_revoked\""));
            Assert.That(output, Does.Contain("\"type\":\"key.revoked\""));
        });
    }

    [Test]
    public async Task Every_command_of_growing_works_when_pasted()
    {
        var postgres = await SharedPostgres.ServerAsync();
        await using var redis = await RedisServer.StartAsync();
        using var folder = new TestFolder();
        var commands = Block("docs/several-nodes.md", "# A database for Mira alone")
            .Replace("sudo -u postgres psql", $"psql -h 127.0.0.1 -p {postgres.Port} -U postgres", StringComparison.Ordinal)
            .Replace("5432", $"{postgres.Port}", StringComparison.Ordinal)
            .Replace("6379", $"{redis.Port}", StringComparison.Ordinal)
            .Replace("5001", $"{FreePort.Find()}", StringComparison.Ordinal)
            .Replace("5002", $"{FreePort.Find()}", StringComparison.Ordinal)
            // As this was built already.
            .Replace("dotnet build", "# dotnet build", StringComparison.Ordinal)
            .Replace("-c Release", $"-c {Configuration}", StringComparison.Ordinal);

        var output = await PasteAsync($"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{commands}", ("TMPDIR", folder.Root), ("MIRA_DRAIN_SECONDS", "0"));

        Assert.Multiple(() =>
        {
            Assert.That(output.Split("\"status\":\"").Length - 1, Is.GreaterThanOrEqualTo(3), "two nodes are ready and a key is valid");
            Assert.That(output, Does.Contain("\"valid\":true"));
            Assert.That(output, Does.Contain("\"revoked_at\":"));
            Assert.That(output, Does.Contain("\"code\":\"key_revoked\""));
        });
    }

    /// <summary>Release or Debug, as these tests were built.</summary>
    private static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    private static string Block(string document, string begin)
    {
        var text = RepositoryFiles.Read(document);
        var start = text.IndexOf(begin, StringComparison.Ordinal);
        return text[start..text.IndexOf("```", start, StringComparison.Ordinal)];
    }

    private static async Task<string> PasteAsync(string commands, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo("bash", ["-eu", "-s"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = RepositoryFiles.Root,
        };
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        using var shell = Process.Start(start)!;
        var output = shell.StandardOutput.ReadToEndAsync();
        var error = shell.StandardError.ReadToEndAsync();
        await shell.StandardInput.WriteAsync(commands);
        shell.StandardInput.Close();
        await shell.WaitForExitAsync();
        Assert.That(shell.ExitCode, Is.Zero, await error);
        return await output;
    }
}
