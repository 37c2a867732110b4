using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>What somebody does who can write the database and has neither pepper nor audit key.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class IntegrityFaultTests
{
    /// <summary>The fault: one update of a row made a revoked viewer a working admin.</summary>
    [Test]
    public async Task A_revoked_viewer_is_made_no_admin_by_an_update_of_its_row()
    {
        using var folder = new TestFolder();
        string viewer;
        await using (var before = MiraHost.Start(folder: folder))
        {
            viewer = await before.NewKeyAsync("viewer");
            await before.Client().RevokeKeyAsync(MiraHost.IdOf(viewer));
        }

        Edit(folder, $"UPDATE keys SET role = 'admin', revoked_at = NULL WHERE id = '{MiraHost.IdOf(viewer)}'");
        await using (var mira = MiraHost.Start(folder: folder))
        {
            var admin = mira.Http(mira.Admin);
            var made = await mira.Http(viewer).CallAsync("POST", "/api/keys", """{"name":"mine","role":"admin"}""");
            Assert.That(made.Verdict, Is.EqualTo("401 key_disabled"));

            var health = await admin.CallAsync("GET", "/health");
            Assert.That((health.Field("status"), health.Text.Contains("\"rows_intact\":false", StringComparison.Ordinal)), Is.EqualTo(("degraded", true)));
            Assert.That((await admin.CallAsync("GET", $"/api/keys/{MiraHost.IdOf(viewer)}")).Verdict, Is.EqualTo("503 store_unavailable"));
            Assert.That((await admin.CallAsync("PATCH", $"/api/keys/{MiraHost.IdOf(viewer)}", """{"name":"x"}""")).Verdict, Is.EqualTo("409 key_not_active"));
            Assert.That((await mira.Client().ListKeysAsync()).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { MiraHost.IdOf(mira.Admin) }));
            Assert.That((await admin.CallAsync("GET", "/metrics")).Text, Does.Contain("key_rows_doubted").And.Match("key_rows_doubted[^\n]* 1\n"));
        }

        Assert.That(Ask(folder, $"SELECT count(*) FROM ledger WHERE type = 'integrity.violation' AND subject = '{MiraHost.IdOf(viewer)}' AND body LIKE '%\"row_forged\"%'"), Is.EqualTo(1));
        var (exitCode, _, error) = await MiraProcess.RunAsync(folder, ["audit", "verify"]);
        Assert.That((exitCode, error.Trim()), Is.EqualTo((1, $"mira: the record of {MiraHost.IdOf(viewer)} is not one that Mira wrote (row_forged)")));
    }

    /// <summary>The fault: one row that cannot be read made the list an error for everybody.</summary>
    [TestCase("role = 'emperor'")]
    [TestCase("allowed_ips = '[\"everywhere\"]'")]
    [TestCase("version = 99999999999")]
    public async Task A_row_that_cannot_be_read_stops_no_list(string edit)
    {
        await using var mira = MiraHost.Start();
        var (damaged, other) = (await mira.NewKeyAsync("viewer"), await mira.NewKeyAsync("viewer"));
        var id = MiraHost.IdOf(damaged);
        Edit(mira.Folder, $"UPDATE keys SET {edit} WHERE id = '{id}'");

        var admin = mira.Http(mira.Admin);
        Assert.That((await mira.Client().ListKeysAsync()).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { MiraHost.IdOf(other), MiraHost.IdOf(mira.Admin) }));
        Assert.That((await admin.CallAsync("GET", "/health")).Text, Does.Contain("\"rows_intact\":false"));
        Assert.That((await admin.CallAsync("GET", $"/api/keys/{id}")).Verdict, Is.EqualTo("503 store_unavailable"));
        Assert.That((await admin.CallAsync("PATCH", $"/api/keys/{id}", """{"name":"x"}""")).Verdict, Is.EqualTo("409 key_not_active"));
        Assert.That((await mira.Http(damaged).CallAsync("GET", "/api/auth/validate")).Verdict, Does.StartWith("401"));
        Assert.That((await mira.Http(other).CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));
        Assert.That((await admin.CallAsync("GET", "/api/audit")).Verdict, Is.EqualTo("200"));
    }

    /// <summary>The fault: an event that was edited while the service ran was shown as true.</summary>
    [Test]
    public async Task An_edited_event_is_not_shown()
    {
        await using var mira = MiraHost.Start();
        await mira.NewKeyAsync("viewer");
        Edit(mira.Folder, "UPDATE ledger SET body = replace(body, 'a viewer', 'a forger') WHERE type = 'key.created' AND body LIKE '%a viewer%'");
        await mira.NewKeyAsync("operator");

        var listed = await mira.Http(mira.Admin).CallAsync("GET", "/api/audit");
        Assert.That((listed.Verdict, listed.Text.Contains("a forger", StringComparison.Ordinal)), Is.EqualTo(("200", false)));
        var health = await mira.Http(mira.Admin).CallAsync("GET", "/health");
        Assert.That((health.Field("status"), health.Text.Contains("\"chain_intact\":false", StringComparison.Ordinal)), Is.EqualTo(("degraded", true)));
    }

    /// <summary>
    /// The fault: an old event that was edited while the service ran was found at the next start only.
    /// </summary>
    [Test]
    public async Task An_old_event_that_is_edited_is_found_while_the_service_runs()
    {
        await using var mira = MiraHost.Start(holdClock: true, configure: services => services.Replace(ServiceDescriptor.Singleton(new ChainCheckOptions(100_000))));
        await mira.NewKeyAsync("viewer");
        Edit(mira.Folder, "UPDATE ledger SET body = replace(body, 'a viewer', 'a forger') WHERE type = 'key.created' AND body LIKE '%a viewer%'");
        await mira.NewKeyAsync("operator");

        var http = mira.Http(mira.Admin);
        var isFound = false;
        for (var minutes = 0; minutes < 200 && !isFound; minutes++)
        {
            mira.Clock!.Advance(TimeSpan.FromSeconds(5));
            isFound = (await http.CallAsync("GET", "/health")).Text.Contains("\"chain_intact\":false", StringComparison.Ordinal);
        }

        Assert.That(isFound);
    }

    /// <summary>The fault: a forged handover of the audit key stopped every change.</summary>
    [Test]
    public async Task A_forged_handover_of_the_audit_key_stops_no_change_and_is_reported()
    {
        await using var mira = MiraHost.Start();
        await mira.NewKeyAsync("viewer");
        var forger = AuditKey.Generate();
        Assert.That(AuditPublicKey.TryParse(await File.ReadAllTextAsync(Path.Combine(mira.Folder.Data, "audit-public.pem")), out var own, out _));
        var (seq, hash) = (Ask(mira.Folder, "SELECT seq FROM ledger_head"), Text(mira.Folder, "SELECT hash FROM ledger_head"));
        var forged = LedgerEvent.Append(new LedgerPosition(seq, hash), DateTimeOffset.UtcNow, new AuditKeyRotation(own[0], forger.Public).Draft());
        var end = forger.Sign(forged.Position, DateTimeOffset.UtcNow);
        Edit(
            mira.Folder,
            $"INSERT INTO ledger (seq, at, type, body, previous_hash, hash) VALUES ({forged.Seq}, {Rfc3339.Truncate(forged.At).ToUnixTimeMilliseconds()}, '{forged.Type}', '{forged.Body}', '{forged.PreviousHash}', '{forged.Hash}'); "
            + $"UPDATE ledger_head SET seq = {end.Seq}, hash = '{end.Hash}', signed_at = {end.At.ToUnixTimeMilliseconds()}, signature = '{end.Signature}', signed_by = '{forger.Public.Text}'");

        var made = await mira.Http(mira.Admin).CallAsync("POST", "/api/keys", """{"name":"after","role":"viewer"}""");
        Assert.That(made.Verdict, Is.EqualTo("201"));
        var health = await mira.Http(mira.Admin).CallAsync("GET", "/health");
        Assert.That((health.Field("status"), health.Text.Contains("\"chain_intact\":false", StringComparison.Ordinal)), Is.EqualTo(("degraded", true)));
        Assert.That(Ask(mira.Folder, "SELECT count(*) FROM ledger WHERE type = 'integrity.violation' AND body LIKE '%unknown_key%'"), Is.EqualTo(1));
    }

    private static void Edit(TestFolder folder, string sql)
    {
        using var database = Open(folder);
        using var command = database.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static long Ask(TestFolder folder, string sql) => (long)Scalar(folder, sql)!;

    private static string Text(TestFolder folder, string sql) => (string)Scalar(folder, sql)!;

    private static object? Scalar(TestFolder folder, string sql)
    {
        using var database = Open(folder);
        using var command = database.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private static SqliteConnection Open(TestFolder folder)
    {
        var database = new SqliteConnection($"Data Source={Path.Combine(folder.Data, "mira.db")};Pooling=False");
        database.Open();
        return database;
    }
}
