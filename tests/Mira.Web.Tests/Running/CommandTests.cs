using System.Text.RegularExpressions;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>What the binary does beside serving.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class CommandTests
{
    private const string Token = "^mira_key_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$";

    [Test]
    public async Task An_admin_is_made_when_all_are_lost_and_it_is_on_record()
    {
        using var folder = await UsedFolderAsync();
        var shown = await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "Łost & found"]);
        Assert.That((shown.ExitCode, shown.Error), Is.EqualTo((0, "")));
        var token = shown.Output.Trim();
        Assert.That(token, Does.Match(Token));

        var file = folder.At("recovered");
        var written = await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "second", "--file", file]);
        Assert.That(written.ExitCode, Is.Zero);
        var second = (await File.ReadAllTextAsync(file)).Trim();
        Assert.That(second, Does.Match(Token));
        Assert.That(written.Output + written.Error, Does.Contain(second[..21]).And.Not.Contain(second[21..]));
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));

        var kept = await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "third", "--file", file]);
        ExpectRefusal(kept, "--file");
        Assert.That((await File.ReadAllTextAsync(file)).Trim(), Is.EqualTo(second), "no file is written over");

        await using var mira = MiraHost.Start(folder: folder);
        var own = await mira.Client(token).ValidateKeyAsync();
        Assert.That((own.Name, own.Role), Is.EqualTo(("Łost & found", "admin")));
        Assert.That((await mira.Client(second).ValidateKeyAsync()).Name, Is.EqualTo("second"));
        Assert.That((await mira.Client().ListKeysAsync()).Keys, Has.Count.EqualTo(3), "the refused one is not made");
        var made = (await mira.Client().ListAuditEventsAsync(keyId: own.KeyId)).Events.Single();
        Assert.That((made.Type, made.Actor.Name, made.Actor.KeyId, made.Reason), Is.EqualTo(("key.created", "system", (string?)null, "recovery")));
    }

    [TestCase("--name", "admin", "create")]
    [TestCase("--name", "admin", "create", "--name", "")]
    [TestCase("--name", "admin", "create", "--name", " ")]
    [TestCase("--name", "admin", "create", "--name", "a\nb")]
    [TestCase("--file", "admin", "create", "--name", "a", "--file", "/nowhere/key")]
    [TestCase("", "admin", "creat", "--name", "a")]
    [TestCase("", "admin", "create", "--name", "a", "--nmae", "b")]
    [TestCase("", "no-such-verb")]
    [TestCase("Did you mean migrate?", "migrat")]
    [TestCase("Did you mean audit?", "aduit", "verify")]
    [TestCase("Did you mean create?", "admin", "creat", "--name", "a")]
    [TestCase("Did you mean --name?", "admin", "create", "--name", "a", "--nmae", "b")]
    [TestCase("Did you mean --help?", "--hlep")]
    [TestCase("--no-such-option", "--no-such-option")]
    [TestCase("Did you mean migrate?", "--urls", "http://127.0.0.1:0", "migrate")]
    [TestCase("", "pepper")]
    [TestCase("", "pepper", "show")]
    public async Task A_line_that_cannot_be_right_is_refused(string said, params string[] arguments)
    {
        using var folder = new TestFolder();
        ExpectRefusal(await MiraProcess.RunAsync(folder, arguments), said);
    }

    [Test]
    public async Task Help_lists_every_verb_and_the_settings_that_a_first_installation_needs()
    {
        using var folder = new TestFolder();
        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, ["--help"]);
        Assert.That((exitCode, error), Is.EqualTo((0, "")));
        foreach (var verb in (string[])["migrate", "admin create", "pepper status", "audit verify", "airtable create-table", "store copy", "backup --to", "restore --from", "health"])
            Assert.That(output, Does.Contain($"\n  {verb} "));
        Assert.That(Regex.Count(output, "^  (MIRA|REDIS|ASPNETCORE)_[A-Z_]+ ", RegexOptions.Multiline), Is.EqualTo(10));
        Assert.That(output, Does.Contain("http://localhost:5000").And.Contain("~/.local/share").And.Contain("sqlite"));
        Assert.That(output.Split('\n').Max(line => line.Length), Is.LessThanOrEqualTo(120), "it fits a terminal");
    }

    [TestCase("--help")]
    [TestCase("--version")]
    [TestCase("help")]
    [TestCase("-h")]
    public async Task Who_asks_for_help_starts_nothing(string asked)
    {
        using var folder = new TestFolder();
        var answer = await MiraProcess.RunAsync(folder, [asked]);
        Assert.That((answer.ExitCode, answer.Error), Is.EqualTo((0, "")));
        Assert.That(answer.Output, Is.Not.Empty);
        Assert.That(Directory.Exists(folder.Data), Is.False);
    }

    [Test]
    public async Task An_admin_is_not_made_beside_a_process_that_serves()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder);
        await mira.WaitUntilReadyAsync();
        var making = MiraProcess.RunAsync(folder, ["admin", "create", "--name", "a"]);
        using var client = mira.Http(folder.Admin);
        Assert.That(Regex.Count(await client.GetStringAsync("/api/keys"), "\"key_id\""), Is.EqualTo(1));

        // It waits for the lock, and works once the service has ended.
        mira.Signal("TERM");
        var made = await making;
        Assert.That(made.ExitCode, Is.Zero, made.Error);
    }

    [Test]
    public async Task A_node_is_asked_whether_it_is_ready()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder);
        await mira.WaitUntilReadyAsync();
        var address = mira.Address.ToString().TrimEnd('/');
        foreach (var asked in (string[])[address, $"{address}/", address.Replace("127.0.0.1", "+", StringComparison.Ordinal)])
            Assert.That(await MiraProcess.RunAsync(folder, ["health", "--url", asked]), Is.EqualTo((0, "ready\n", "")), asked);
        Assert.That(await MiraProcess.RunAsync(folder, ["health"], ("ASPNETCORE_URLS", address)), Is.EqualTo((0, "ready\n", "")));

        ExpectRefusal(await MiraProcess.RunAsync(folder, ["health", "--url", $"{address}/elsewhere"]), $"{address}/elsewhere/health/ready answers 401");
        mira.Signal("KILL");
        await mira.Process.WaitForExitAsync();
        ExpectRefusal(await MiraProcess.RunAsync(folder, ["health", "--url", address]), $"{address}/health/ready does not answer");
        ExpectRefusal(await MiraProcess.RunAsync(folder, ["health", "--url", "no address"]), "--url");
    }

    [Test]
    public async Task The_status_of_peppers_is_a_line_for_each()
    {
        using var folder = await UsedFolderAsync();
        var own = await MiraProcess.RunAsync(folder, ["pepper", "status"]);
        Assert.That((own.ExitCode, own.Error), Is.EqualTo((0, "")));
        Assert.That(own.Output.Trim(), Does.Match("^[0-9a-f]{8} current 1$"));

        var next = Convert.ToBase64String(new byte[32]);
        var listed = await MiraProcess.RunAsync(folder, ["pepper", "status"], ("MIRA_PEPPER_RETIRED", next));
        Assert.That(listed.Output.Trim().Split('\n'), Has.Length.EqualTo(2).And.Contain(own.Output.Trim()));
        Assert.That(listed.Output, Does.Match("[0-9a-f]{8} retired 0").And.Not.Contain(next));

        File.Delete(Path.Combine(folder.Data, "pepper"));
        var other = await MiraProcess.RunAsync(folder, ["pepper", "status"], ("MIRA_PEPPER", next));
        Assert.That(other.ExitCode, Is.Zero);
        Assert.That(other.Output, Does.Match("^[0-9a-f]{8} current 0\n"));
        Assert.That(other.Output, Does.Contain(own.Output[..8] + " unlisted 1"));
    }

    private static async Task<TestFolder> UsedFolderAsync()
    {
        var folder = new TestFolder();
        await using (MiraHost.Start(folder: folder))
            return folder;
    }

    private static void ExpectRefusal((int ExitCode, string Output, string Error) run, string said)
    {
        Assert.That(run.ExitCode, Is.EqualTo(1), run.Output + run.Error);
        Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), run.Error);
        Assert.That(run.Error, Does.StartWith("mira: ").And.Contain(said));
        Assert.That(run.Output, Does.Not.Match("mira_key_"));
    }
}
