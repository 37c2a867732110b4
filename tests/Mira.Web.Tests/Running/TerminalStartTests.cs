using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mira.TestServers;
using Mira.Web.Hosting;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>What a person sees who starts the service by hand.</summary>
internal sealed class TerminalStartTests
{
    private const string Token = "mira_key_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}";

    [Test]
    public async Task A_start_on_a_terminal_tells_what_to_do_next_and_the_lines_work_when_pasted()
    {
        using var folder = new TestFolder();
        var address = $"http://127.0.0.1:{FreePort.Find()}";
        using var terminal = OnTerminal(folder, address);
        var shown = await ReadUntilAsync(terminal, "api/audit .*echo\n\n");

        Assert.That(Regex.Count(shown, Token), Is.EqualTo(1), shown);
        Assert.That(shown, Does.Contain($"Address   {address}\n").And.Contain($"Swagger   {address}/swagger/\n").And.Contain($"Data      {folder.Data}\n").And.Contain("Ctrl+C"));
        Assert.That(shown, Does.Not.Contain("{\"timestamp\""), "lines of the log are for people too");
        Assert.That(Regex.Count(shown, "AutoMapper, a library"), Is.EqualTo(1));

        var pasted = await PasteAsync(Regex.Matches(shown, "^(ADMIN=|curl ).*$", RegexOptions.Multiline).Select(match => match.Value));
        Assert.That(pasted, Does.Contain("\"valid\":true").And.Contain("\"name\":\"my first key\"").And.Contain("\"type\":\"key.created\""));

        await terminal.StandardInput.WriteAsync('\x03');
        await terminal.StandardInput.FlushAsync();
        var rest = await terminal.StandardOutput.ReadToEndAsync();
        Assert.That(rest, Does.Contain("Mira stops.").And.Not.Contain("AutoMapper"));
        await terminal.WaitForExitAsync();
        Assert.That(terminal.ExitCode, Is.Zero, rest);
    }

    [Test]
    public void A_later_start_shows_no_key_and_an_address_that_can_be_called()
    {
        var text = Greeting.Of(["http://[::]:8080", "http://0.0.0.0:8080"], "/data", token: null, file: null);
        Assert.That(text, Does.Contain("Address   http://localhost:8080\n").And.Contain("ADMIN=mira_key_...\n").And.Not.Match(Token));
    }

    [Test]
    public void A_key_in_a_file_is_taken_from_there()
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder.AdminFile, "token");
        Assert.That(Greeting.Of(["http://localhost:5000"], "/data", null, folder.AdminFile), Does.Contain($"ADMIN=$(cat '{folder.AdminFile}')\n"));
    }

    [Test]
    public void Dotnet_run_says_that_it_builds_and_sets_nothing_of_its_own()
    {
        var profile = JsonElement.Parse(RepositoryFiles.Read("src", "Mira.Web", "Properties", "launchSettings.json")).GetProperty("profiles").EnumerateObject().Single().Value;
        Assert.That(profile.GetProperty("dotnetRunMessages").GetBoolean(), Is.True);
        Assert.That(profile.EnumerateObject().Select(property => property.Name), Is.EqualTo(new[] { "commandName", "dotnetRunMessages" }));
    }

    private static Process OnTerminal(TestFolder folder, string address)
    {
        var binary = Path.Combine(AppContext.BaseDirectory, "Mira.Web.dll");
        var start = new ProcessStartInfo("script", ["--quiet", "--flush", "--return", "--command", $"exec dotnet '{binary}'", "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["MIRA_DATA_DIR"] = folder.Data;
        start.Environment["MIRA_DRAIN_SECONDS"] = "0";
        start.Environment["ASPNETCORE_URLS"] = address;
        return Process.Start(start)!;
    }

    private static async Task<string> ReadUntilAsync(Process terminal, string pattern)
    {
        var (shown, buffer) = (new StringBuilder(), new char[4096]);
        while (!Regex.IsMatch(shown.ToString(), pattern))
        {
            var read = await terminal.StandardOutput.ReadAsync(buffer);
            Assert.That(read, Is.Positive, $"{shown}{(read == 0 ? await terminal.StandardError.ReadToEndAsync() : "")}");
            // A terminal ends its lines with two characters.
            shown.Append(buffer, 0, read).Replace("\r\n", "\n");
        }

        return shown.ToString();
    }

    private static async Task<string> PasteAsync(IEnumerable<string> lines)
    {
        using var shell = Process.Start(new ProcessStartInfo("bash", ["-eu", "-s"]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await shell.StandardInput.WriteAsync(string.Join('\n', lines) + "\n");
        shell.StandardInput.Close();
        var output = await shell.StandardOutput.ReadToEndAsync();
        await shell.WaitForExitAsync();
        Assert.That(shell.ExitCode, Is.Zero, output);
        return output;
    }
}
