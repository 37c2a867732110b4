using System.Diagnostics;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests;

/// <summary>The README's walk, pasted into a shell as it stands there.</summary>
internal sealed class ReadmeTests
{
    [Test]
    public async Task Every_command_of_the_walk_works_when_pasted()
    {
        await using var mira = MiraHost.Start();
        var commands = Walk().Replace("http://localhost:5000", mira.Address.ToString().TrimEnd('/'), StringComparison.Ordinal);

        var output = await PasteAsync(commands, mira.Admin);

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

    private static string Walk()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Mira.sln")))
            folder = folder.Parent!;

        var readme = File.ReadAllText(Path.Combine(folder.FullName, "README.md"));
        var start = readme.IndexOf("MIRA=http", StringComparison.Ordinal);
        return readme[start..readme.IndexOf("```", start, StringComparison.Ordinal)];
    }

    private static async Task<string> PasteAsync(string commands, string admin)
    {
        var start = new ProcessStartInfo("bash", ["-eu", "-s"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ADMIN"] = admin;
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
