using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Mira.Domain.Ledger;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary><c>audit verify</c>, and what somebody else makes of the same export by docs/audit.md alone.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class AuditCommandTests
{
    [Test]
    public async Task A_folder_is_checked_beside_its_service_and_without_one()
    {
        using var folder = new TestFolder();
        var anchor = folder.At("anchor");
        await using (var mira = MiraProcess.Start(folder, ("MIRA_AUDIT_ANCHOR", anchor)))
        {
            await mira.WaitUntilReadyAsync();
            ExpectWhole(await VerifyAsync(folder, "--data", folder.Data));
            ExpectWhole(await VerifyAsync(folder));
            mira.Signal("TERM");
            await mira.Process.WaitForExitAsync();
            mira.Process.WaitForExit();
            Assert.That(mira.Output, Does.Contain("\"checkpoint\":{\"at\":\"").And.Contain("The audit trail is signed with the key "));
        }

        // The last one is published after the stop was recorded.
        ExpectWhole(await VerifyAsync(folder, "--data", folder.Data, "--anchor", anchor));
        Assert.That(File.GetUnixFileMode(anchor), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(File.GetUnixFileMode(Path.Combine(folder.Data, "audit-key.pem")), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        var newest = (await File.ReadAllLinesAsync(anchor))[^1];
        Assert.That(newest, Does.Contain($"\"seq\":{Ask(folder, "SELECT seq FROM ledger_head")},"));

        // Rolled back to before the stop, with the signature that was right then.
        Edit(folder, "DELETE FROM ledger WHERE seq > (SELECT min(seq) FROM checkpoints); UPDATE ledger_head SET (seq, hash, signed_at, signature) = (SELECT seq, hash, at, signature FROM checkpoints ORDER BY seq LIMIT 1); DELETE FROM checkpoints WHERE seq > (SELECT min(seq) FROM checkpoints)");
        ExpectWhole(await VerifyAsync(folder, "--data", folder.Data));
        ExpectRefusal(await VerifyAsync(folder, "--data", folder.Data, "--anchor", anchor), "an anchor knows");

        // A service that starts on it knows too what was published.
        await using var next = MiraProcess.Start(folder, ("MIRA_AUDIT_ANCHOR", anchor));
        await next.WaitUntilReadyAsync();
        Assert.That(next.Output, Does.Contain("is not the one that was published"));
        Assert.That(Ask(folder, "SELECT seq FROM ledger WHERE type = 'integrity.violation' AND body LIKE '%\"to\":\"ledger_behind\"%'"), Is.EqualTo(Ask(folder, "SELECT max(seq) - 1 FROM ledger")),
            "before its own start");
    }

    [Test]
    public async Task An_end_that_somebody_else_made_while_the_service_was_stopped_shows_for_ever()
    {
        using var folder = new TestFolder();
        await using (MiraHost.Start(folder: folder))
        {
        }

        Edit(folder, "UPDATE ledger_head SET signature = NULL; DELETE FROM checkpoints");
        var (export, key) = await ExportAsync(folder);
        ExpectRefusal(await VerifyAsync(folder, "--data", folder.Data), "event 1 ");
        ExpectRefusal(await VerifyAsync(folder, "--file", export, "--public-key", key), "event 1 ");
        if (HasTool("python3") && HasTool("openssl"))
            Assert.That(await RunAsync("python3", await ScriptAsync(folder), export, key), Is.Not.Zero);

        await using var mira = MiraHost.Start(folder: folder);
        await MiraProcess.WaitForAsync(async () => (await mira.Http(mira.Admin).CallAsync("GET", "/health")).Field("status") == "degraded");
        Assert.That(mira.Log, Does.Contain("chain is broken at 1"));
    }

    [Test]
    public async Task A_folder_that_only_a_verb_has_written_to_is_checked()
    {
        using var folder = new TestFolder();
        Assert.That((await MiraProcess.RunAsync(folder, ["admin", "create", "--name", "only"])).ExitCode, Is.Zero);
        ExpectWhole(await VerifyAsync(folder, "--data", folder.Data));
    }

    [Test]
    public async Task An_export_is_checked_with_the_public_key_alone()
    {
        using var folder = new TestFolder();
        var (export, key) = await ExportAsync(folder);
        using var elsewhere = new TestFolder();
        ExpectWhole(await VerifyAsync(elsewhere, "--file", export, "--public-key", key));
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export), "--public-key");
        var other = folder.At("other.pem");
        await File.WriteAllTextAsync(other, AuditKey.Generate().Public.ExportPem());
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export, "--public-key", other), "known");

        await File.WriteAllTextAsync(export, (await File.ReadAllTextAsync(export)).Replace("system.started", "system.stopped", StringComparison.Ordinal));
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export, "--public-key", key), "event 2 ");
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", "/nowhere/export", "--public-key", key), "--file");
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export, "--public-key", export), "--public-key");
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export, "--data", "x"), "--file");
        ExpectRefusal(await VerifyAsync(elsewhere, "--data", elsewhere.Root, "--public-key", key), "--data");
        ExpectRefusal(await VerifyAsync(elsewhere, "--file", export, "--public-key", key, "--anchor", key), "--anchor");
    }

    [Test]
    public async Task The_script_of_the_guide_comes_to_the_same_result()
    {
        if (!HasTool("python3") || !HasTool("openssl"))
            Assert.Ignore("python3 and openssl are not here.");

        using var folder = new TestFolder();
        var (export, key) = await ExportAsync(folder);
        var script = await ScriptAsync(folder);
        Assert.That(await RunAsync("python3", script, export, key), Is.Zero);
        var whole = await File.ReadAllTextAsync(export);
        foreach (var edited in new[] { whole.Replace("first admin", "first Admin", StringComparison.Ordinal), whole[..whole.TrimEnd('\n').LastIndexOf('\n')] + "\n" })
        {
            await File.WriteAllTextAsync(export, edited);
            Assert.That(await RunAsync("python3", script, export, key), Is.Not.Zero);
        }
    }

    [Test]
    public async Task Another_key_takes_over_and_the_ledger_stays_proved()
    {
        using var folder = new TestFolder();
        await using (MiraHost.Start(folder: folder))
        {
        }

        var own = await File.ReadAllTextAsync(Path.Combine(folder.Data, "audit-public.pem"));
        var unaware = await MiraProcess.RunAsync(folder, [], ("MIRA_AUDIT_KEY", SharedStore.AuditKeyPem));
        ExpectRefusal(unaware, "MIRA_AUDIT_KEY");
        await using (var mira = MiraHost.Start(folder: folder, settings: ("MIRA_AUDIT_KEY", (SharedStore.AuditKeyPem + own).Replace("\n", "\\n", StringComparison.Ordinal))))
        {
            var changed = (await mira.Client().ListAuditEventsAsync(limit: 200)).Events.Single(entry => entry.Reason == "audit_key_changed");
            Assert.That((changed.Type, own), Is.EqualTo(("system.started", own)).And.Matches<(string, string Pem)>(pair => pair.Pem.Replace("\n", "", StringComparison.Ordinal).Contains(changed.Changes!["audit_key"].From!.ToString()!, StringComparison.Ordinal)));
            Assert.That((await mira.Http(mira.Admin).CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
        }

        Assert.That(await File.ReadAllTextAsync(Path.Combine(folder.Data, "audit-public.pem")), Is.Not.EqualTo(own));
        ExpectWhole(await VerifyAsync(folder, "--data", folder.Data));
        await using (var mira = MiraHost.Start(folder: folder, settings: ("MIRA_AUDIT_KEY", SharedStore.AuditKeyPem)))
            Assert.That((await mira.Http(mira.Admin).CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"), "the old one is needed no more");
        ExpectWhole(await VerifyAsync(folder, "--data", folder.Data));
    }

    [Test]
    public async Task A_start_on_a_ledger_that_was_edited_says_so()
    {
        using var folder = new TestFolder();
        await using (MiraHost.Start(folder: folder))
        {
        }

        Edit(folder, "UPDATE ledger SET body = replace(body, 'first admin', 'nobody') WHERE seq = 1");
        ExpectRefusal(await VerifyAsync(folder, "--data", folder.Data), "event 1 ");
        await using var mira = MiraHost.Start(folder: folder);
        await MiraProcess.WaitForAsync(async () => (await mira.Http(mira.Admin).CallAsync("GET", "/health")).Field("status") == "degraded");
        Assert.That(mira.Log, Does.Contain("chain is broken at 1"));
    }

    private static async Task<(string Export, string Key)> ExportAsync(TestFolder folder)
    {
        await using var mira = MiraHost.Start(folder: folder);
        await mira.NewKeyAsync("viewer", key => key.Name = "Grüße \"\\ 🔑");
        var export = folder.At("export.ndjson");
        var key = folder.At("public.pem");
        await File.WriteAllTextAsync(export, (await mira.Http(mira.Admin).CallAsync("GET", "/api/audit/export")).Text);
        await File.WriteAllTextAsync(key, (await mira.Http(mira.Admin).CallAsync("GET", "/api/audit/public-key")).Text);
        return (export, key);
    }

    private static async Task<string> ScriptAsync(TestFolder folder)
    {
        var guide = RepositoryFiles.Read("docs", "audit.md");
        var script = folder.At("verify.py");
        await File.WriteAllTextAsync(script, Regex.Match(guide, "```python\n(.*?)```", RegexOptions.Singleline).Groups[1].Value);
        return script;
    }

    private static Task<(int ExitCode, string Output, string Error)> VerifyAsync(TestFolder folder, params string[] options) =>
        MiraProcess.RunAsync(folder, ["audit", "verify", .. options]);

    private static void ExpectWhole((int ExitCode, string Output, string Error) run)
    {
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")), run.Output);
        Assert.That(run.Output, Does.Match(@"\Aevents 1 to [0-9]+ are whole, signed for at .*Z\n\z"));
    }

    private static void ExpectRefusal((int ExitCode, string Output, string Error) run, string said)
    {
        Assert.That(run.ExitCode, Is.EqualTo(1), run.Output);
        Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1).And.One.StartsWith("mira: ").And.One.Contains(said));
    }

    private static void Edit(TestFolder folder, string sql) => Ask(folder, sql);

    private static long Ask(TestFolder folder, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder.Data, "mira.db")};Pooling=false");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar() is long value ? value : 0;
    }

    private static bool HasTool(string name) => Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, name)));

    private static async Task<int> RunAsync(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
