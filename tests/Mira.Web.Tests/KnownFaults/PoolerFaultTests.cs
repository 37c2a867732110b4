using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>A start behind PgBouncer as it comes.</summary>
internal sealed class PoolerFaultTests
{
    [TestCase("session")]
    [TestCase("transaction")]
    public async Task Behind_PgBouncer_as_it_comes_the_start_failed_without_a_hint(string mode)
    {
        var server = await SharedPostgres.Server;
        var database = await server.CreateDatabaseAsync();
        await using var pooler = await PgBouncer.StartAsync(server, database, mode);
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, SharedPostgres.SettingsFor(server.ConnectionString(database, pooler.Port)));
        await mira.WaitUntilReadyAsync();

        using var admin = mira.Http(folder.Admin);
        var made = await admin.CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer"}""");
        Assert.That(made.Verdict, Is.EqualTo("201"));
        using var holder = mira.Http(made.Field("api_key"));
        Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That((await admin.CallAsync("DELETE", $"/api/keys/{made.Field("key_id")}")).Verdict, Is.EqualTo("200"));
        Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("401 key_revoked"));
        Assert.That((await admin.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
    }
}
