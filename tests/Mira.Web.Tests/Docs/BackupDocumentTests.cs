using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Docs;

/// <summary>The commands of docs/backup.md for PostgreSQL work when they are pasted into a shell.</summary>
internal sealed class BackupDocumentTests
{
    [Test]
    public async Task A_dump_that_was_made_beside_a_node_is_restored_and_the_keys_work()
    {
        var server = await SharedPostgres.ServerAsync();
        var database = await server.CreateDatabaseAsync();
        var restored = $"{database}_restored";
        using var folder = new TestFolder();
        var anchor = folder.At("anchor");
        string good, revoked, revokedLater;
        await using (var mira = MiraHost.Start(folder: folder, settings: [.. SharedStore.SettingsFor(server.ConnectionString(database)), ("MIRA_AUDIT_ANCHOR", anchor)]))
        {
            (good, revoked, revokedLater) = (await mira.NewKeyAsync("viewer"), await mira.NewKeyAsync("viewer"), await mira.NewKeyAsync("viewer"));
            await mira.Client().RevokeKeyAsync(MiraHost.IdOf(revoked));
            await PasteAsync(Block("# A dump"), server, database, folder);
            await mira.Client().RevokeKeyAsync(MiraHost.IdOf(revokedLater));
        }

        await PasteAsync(Block("# A restore").Replace("mira_restored", restored, StringComparison.Ordinal), server, database, folder);
        Assert.That(File.GetUnixFileMode(folder.At("mira.dump")), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));

        (string, string)[] settings = [.. SharedStore.SettingsFor(server.ConnectionString(restored)), ("MIRA_AUDIT_ANCHOR", anchor)];
        var verified = await MiraProcess.RunAsync(folder, ["audit", "verify", "--anchor", anchor], settings);
        Assert.That(verified.Error, Does.Match("event [0-9]+ is missing: an anchor knows the ledger up to [0-9]+"));
        await using (var mira = MiraHost.Start(folder: folder, settings: settings))
        {
            Assert.That((await mira.Client(good).ValidateKeyAsync()).Valid, Is.True);
            Assert.That((await mira.Client(revokedLater).ValidateKeyAsync()).Valid, Is.True, "its revocation came after the dump");
            Assert.That((await mira.Http(revoked).CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("401 key_revoked"));
            Assert.That((await mira.Client().ListAuditEventsAsync(type: "integrity.violation")).Events.Single().Reason, Is.EqualTo("ledger_replaced"));
        }

        verified = await MiraProcess.RunAsync(folder, ["audit", "verify"], settings);
        Assert.That(verified.ExitCode, Is.Zero, verified.Error);
    }

    [Test]
    public async Task A_base_backup_is_whole()
    {
        await using var server = await PostgresServer.StartNewAsync();
        using var folder = new TestFolder();
        var output = await PasteAsync(Block("# A base backup"), server, "postgres", folder);
        Assert.That(output, Does.Contain("backup successfully verified"));
    }

    private static string Block(string begin)
    {
        var text = RepositoryFiles.Read("docs", "backup.md");
        var start = text.IndexOf(begin, StringComparison.Ordinal);
        return text[start..text.IndexOf("```", start, StringComparison.Ordinal)];
    }

    private static async Task<string> PasteAsync(string commands, PostgresServer server, string database, TestFolder folder)
    {
        var names = $"export PGHOST=127.0.0.1 PGPORT={server.Port} PGUSER=postgres PGDATABASE={database} PATH=\"{PostgresServer.Binaries}:$PATH\"\n";
        var (exitCode, output) = await Shell.RunAsync(folder.Root, "bash", "-euc", names + commands);
        Assert.That(exitCode, Is.Zero, output);
        return output;
    }
}
