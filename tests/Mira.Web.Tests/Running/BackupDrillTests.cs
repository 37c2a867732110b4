using System.Collections.Concurrent;
using System.Globalization;
using System.Text.RegularExpressions;
using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>A node is backed up while it works, lost, and restored elsewhere.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class BackupDrillTests
{
    private const int Writers = 4;

    [Test]
    public async Task What_was_backed_up_works_elsewhere_and_what_came_later_is_named()
    {
        using var folder = new TestFolder();
        var (anchor, file, passphrase) = (folder.At("anchor"), folder.At("mira.backup"), await PassphraseAsync(folder));
        var export = folder.At("export.ndjson");
        string good, replaced, current, revoked, revokedLater, madeLater;
        List<string> before;
        var during = 0;
        await using (var mira = MiraProcess.Start(folder, ("MIRA_AUDIT_ANCHOR", anchor)))
        {
            await mira.WaitUntilReadyAsync();
            using var http = mira.Http(folder.Admin);
            var admin = new MiraClient(http);
            (good, revoked, revokedLater) = (await NewKeyAsync(admin), await NewKeyAsync(admin), await NewKeyAsync(admin));
            await admin.RevokeKeyAsync(MiraHost.IdOf(revoked));
            replaced = await NewKeyAsync(admin);
            current = (await admin.RotateKeyAsync(MiraHost.IdOf(replaced), body: new RotateKey { GraceMinutes = 0 })).ApiKey!;

            var acknowledged = new ConcurrentQueue<string>();
            using var over = new CancellationTokenSource();
            var writers = Enumerable.Range(0, Writers).Select(_ => WriteAsync(admin, acknowledged, over.Token)).ToArray();
            await MiraProcess.WaitForAsync(() => Task.FromResult(acknowledged.Count >= 20));
            before = [.. acknowledged];
            var made = await BackUpAsync(folder, file, "--passphrase-file", passphrase);
            during = acknowledged.Count - before.Count;
            await over.CancelAsync();
            await Task.WhenAll(writers);
            Assert.That((made.ExitCode, made.Error), Is.EqualTo((0, "")), made.Output);

            await admin.RevokeKeyAsync(MiraHost.IdOf(revokedLater));
            madeLater = await NewKeyAsync(admin);
            await File.WriteAllTextAsync(export, (await http.CallAsync("GET", "/api/audit/export")).Text);
            mira.Signal("TERM");
            await mira.Process.WaitForExitAsync();
        }

        Assert.That(during, Is.Positive, "changes went on while the backup was made");
        Assert.That(File.GetUnixFileMode(file), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        var published = long.Parse(Regex.Match((await File.ReadAllLinesAsync(anchor))[^1], "\"seq\":([0-9]+)").Groups[1].Value, CultureInfo.InvariantCulture);

        var elsewhere = ("MIRA_DATA_DIR", folder.At("elsewhere"));
        var restored = await RestoreAsync(folder, file, ["--passphrase-file", passphrase, "--anchor", anchor, "--export", export], elsewhere);
        Assert.That((restored.ExitCode, restored.Error), Is.EqualTo((0, "")), restored.Output);
        var seq = long.Parse(Regex.Match(restored.Output, "holds the store up to event ([0-9]+), as it was at ").Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.That(restored.Output, Does.Contain($"the audit trail is whole up to event {seq}\n").And.Contain($"lost: events {seq + 1} to {published} at least"));
        Assert.That(restored.Output, Does.Match($"\nlost: event [0-9]+, key.revoked of {MiraHost.IdOf(revokedLater)} at ")
            .And.Match($"\nlost: event [0-9]+, key.created of {MiraHost.IdOf(madeLater)} at ").And.Not.Contain(MiraHost.IdOf(good)).And.Not.Contain(madeLater));
        var verified = await MiraProcess.RunAsync(folder, ["audit", "verify"], elsewhere);
        Assert.That((verified.ExitCode, verified.Error), Is.EqualTo((0, "")));
        Assert.That(verified.Output, Does.StartWith($"events 1 to {seq} are whole"));
        var cut = await MiraProcess.RunAsync(folder, ["audit", "verify", "--anchor", anchor], elsewhere);
        Assert.That(cut.Error, Does.Contain($"event {seq + 1} is missing: an anchor knows the ledger up to {published}"));

        await using (var mira = MiraProcess.Start(folder, elsewhere))
        {
            await mira.WaitUntilReadyAsync();
            foreach (var token in (string[])[good, current, revokedLater, folder.Admin, .. before])
                Assert.That(await VerdictAsync(mira, token), Is.EqualTo("200"));
            Assert.That(await VerdictAsync(mira, revoked), Is.EqualTo("401 key_revoked"));
            Assert.That(await VerdictAsync(mira, replaced), Does.StartWith("401 "));
            Assert.That(await VerdictAsync(mira, madeLater), Is.EqualTo("401 invalid_key"));

            using var http = mira.Http(folder.Admin);
            var violation = (await new MiraClient(http).ListAuditEventsAsync(type: "integrity.violation")).Events.Single();
            Assert.That((violation.Seq, violation.Reason, violation.Changes!["finding"].To!.ToString()), Is.EqualTo((seq + 1, "ledger_replaced", "restored")));
            Assert.That((await http.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
            Assert.That(File.Exists(Path.Combine(folder.At("elsewhere"), "restored")), Is.False);
        }

        verified = await MiraProcess.RunAsync(folder, ["audit", "verify"], elsewhere);
        Assert.That(verified.ExitCode, Is.Zero, verified.Error);
    }

    [Test]
    public async Task A_start_with_the_old_anchor_records_the_loss_once()
    {
        using var folder = new TestFolder();
        var (anchor, file) = (folder.At("anchor"), folder.At("mira.backup"));
        var passphrase = await PassphraseAsync(folder);
        await using (var first = MiraHost.Start(folder: folder, settings: ("MIRA_AUDIT_ANCHOR", anchor)))
        {
            Assert.That((await BackUpAsync(folder, file, "--passphrase-file", passphrase)).ExitCode, Is.Zero);
            await first.NewKeyAsync("viewer");
        }

        (string, string)[] elsewhere = [("MIRA_DATA_DIR", folder.At("elsewhere")), ("MIRA_AUDIT_ANCHOR", anchor)];
        var restored = await RestoreAsync(folder, file, ["--passphrase-file", passphrase], elsewhere);
        Assert.That(restored.Output, Does.Contain("lost: events "), "the settings name the anchor");
        await using (var mira = MiraHost.Start(folder: folder, settings: elsewhere))
        {
            var violation = (await mira.Client().ListAuditEventsAsync(type: "integrity.violation")).Events.Single();
            Assert.That(violation.Changes!["finding"].To!.ToString(), Is.EqualTo("ledger_behind"));
        }
    }

    [Test]
    public async Task Without_a_passphrase_the_secrets_come_from_elsewhere_and_must_be_the_right_ones()
    {
        using var folder = new TestFolder();
        var file = folder.At("mira.backup");
        string token;
        await using (var first = MiraHost.Start(folder: folder))
        {
            token = await first.NewKeyAsync("viewer");
            var made = await BackUpAsync(folder, file);
            Assert.That(made.Output, Does.Contain("pepper and audit key are NOT in it"));
        }

        var elsewhere = ("MIRA_DATA_DIR", folder.At("elsewhere"));
        var pepper = ("MIRA_PEPPER_FILE", Path.Combine(folder.Data, "pepper"));
        var key = ("MIRA_AUDIT_KEY_FILE", Path.Combine(folder.Data, "audit-key.pem"));
        ExpectRefusal(await RestoreAsync(folder, file, [], elsewhere), "neither pepper nor audit key");
        ExpectRefusal(await RestoreAsync(folder, file, [], elsewhere, pepper), "neither pepper nor audit key");
        ExpectRefusal(await RestoreAsync(folder, file, [], elsewhere, key, ("MIRA_PEPPER", SharedStore.Pepper)), "MIRA_PEPPER");
        ExpectRefusal(await RestoreAsync(folder, file, [], elsewhere, pepper, ("MIRA_AUDIT_KEY", SharedStore.AuditKeyPem)), "MIRA_AUDIT_KEY");
        Assert.That(Directory.Exists(folder.At("elsewhere")), Is.False, "nothing is left behind");

        var restored = await RestoreAsync(folder, file, [], elsewhere, pepper, key);
        Assert.That((restored.ExitCode, restored.Error), Is.EqualTo((0, "")), restored.Output);
        Assert.That(File.Exists(folder.At("elsewhere", "pepper")), Is.False, "the settings have it");
        await using var mira = MiraHost.Start(folder: folder, settings: [elsewhere, pepper, key]);
        Assert.That((await mira.Client(token).ValidateKeyAsync()).Valid, Is.True);
    }

    internal static async Task<string> PassphraseAsync(TestFolder folder, string text = "correct horse battery staple")
    {
        var path = folder.At("passphrase");
        await File.WriteAllTextAsync(path, text + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    internal static Task<(int ExitCode, string Output, string Error)> BackUpAsync(TestFolder folder, string file, params string[] options) =>
        MiraProcess.RunAsync(folder, ["backup", "--to", file, .. options]);

    internal static Task<(int ExitCode, string Output, string Error)> RestoreAsync(
        TestFolder folder, string file, string[] options, params (string Name, string Value)[] settings) =>
        MiraProcess.RunAsync(folder, ["restore", "--from", file, .. options], settings);

    internal static void ExpectRefusal((int ExitCode, string Output, string Error) run, string said)
    {
        Assert.That((run.ExitCode, run.Output), Is.EqualTo((1, "")), run.Error);
        Assert.That(run.Error.TrimEnd().Split('\n'), Has.Length.EqualTo(1).And.One.StartsWith("mira: ").And.One.Contains(said));
    }

    private static async Task<string> NewKeyAsync(MiraClient admin) => (await admin.CreateKeyAsync(new CreateKey { Name = "a key", Role = "viewer" })).ApiKey!;

    private static async Task WriteAsync(MiraClient admin, ConcurrentQueue<string> acknowledged, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
            acknowledged.Enqueue(await NewKeyAsync(admin));
    }

    private static async Task<string> VerdictAsync(MiraProcess mira, string token)
    {
        using var http = mira.Http(token);
        return (await http.CallAsync("GET", "/api/auth/validate")).Verdict;
    }
}
