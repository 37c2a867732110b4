using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>A start behind PgBouncer as it comes.</summary>
internal sealed class PoolerFaultTests
{
    /// <summary>The fault: the start behind PgBouncer failed, and the message did not say why.</summary>
    [TestCase("session")]
    [TestCase("transaction")]
    public async Task Behind_PgBouncer_with_its_default_settings_the_service_starts_and_works(string mode)
    {
        var server = await SharedPostgres.ServerAsync();
        var database = await server.CreateDatabaseAsync();
        await using var pooler = await PgBouncer.StartAsync(server, database, mode);
        using var folder = new TestFolder();
        var settings = SharedStore.SettingsFor(server.ConnectionString(database, pooler.Port));
        await using var mira = MiraProcess.Start(folder, settings);
        await mira.WaitUntilReadyAsync();

        using var admin = mira.Http(folder.Admin);
        var made = await AskedAgainAsync(() => admin.CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer"}"""));
        Assert.That(made.Verdict, Is.EqualTo("201"));
        using var holder = mira.Http(made.Field("api_key"));
        Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));

        var turned = await AskedAgainAsync(() => admin.CallAsync("POST", $"/api/keys/{made.Field("key_id")}/rotate", """{"grace_minutes":0}"""));
        Assert.That(turned.Verdict, Is.EqualTo("201"));
        Assert.That((await holder.ValidateAsync()).Verdict, Does.StartWith("401"));
        using var next = mira.Http(turned.Field("api_key"));
        Assert.That((await next.ValidateAsync()).Verdict, Is.EqualTo("200"));

        // Made by one node, revoked by another.
        await using var other = MiraProcess.Start(folder, settings);
        await other.WaitUntilReadyAsync();
        using var elsewhere = other.Http(folder.Admin);
        using var there = other.Http(turned.Field("api_key"));
        Assert.That((await there.ValidateAsync()).Verdict, Is.EqualTo("200"));
        Assert.That((await AskedAgainAsync(() => elsewhere.CallAsync("DELETE", $"/api/keys/{made.Field("key_id")}"))).Verdict, Is.EqualTo("200"));
        Assert.That((await there.ValidateAsync()).Verdict, Is.EqualTo("401 key_revoked"));
        await MiraProcess.WaitForAsync(async () => (await next.ValidateAsync()).Verdict == "401 key_revoked");
        Assert.That((await admin.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("healthy"));
    }

    // The first change of its kind may take longer than a change may on a busy machine. It is refused then, and asked
    // for again.
    private static async Task<Reply> AskedAgainAsync(Func<Task<Reply>> ask)
    {
        var answer = await ask();
        await MiraProcess.WaitForAsync(async () => answer.Verdict != "503 audit_unavailable" || (answer = await ask()).Verdict != "503 audit_unavailable");
        return answer;
    }
}
