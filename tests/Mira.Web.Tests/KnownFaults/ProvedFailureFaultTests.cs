using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>
/// Whoever holds the secret of a key that has ended can neither fill the ledger nor hide what happens to other keys.
/// </summary>
internal sealed class ProvedFailureFaultTests
{
    [Test]
    public async Task One_revoked_key_from_many_addresses_is_one_event_and_hides_no_other_key()
    {
        using var folder = new TestFolder();
        string revoked, victim;
        await using (var mira = MiraProcess.Start(folder, ("MIRA_TRUSTED_PROXIES", "127.0.0.1")))
        {
            await mira.WaitUntilReadyAsync();
            using var admin = mira.Http(folder.Admin);
            (revoked, victim) = (await EndedAsync(admin), await EndedAsync(admin));
            using var http = mira.Http();
            for (var network = 0; network < 300; network++)
                await FailAsync(http, revoked, $"2001:db8:0:{network:x}::1");
            await FailAsync(http, victim, "192.0.2.1");
            mira.Signal("TERM");
            await mira.Process.WaitForExitAsync();
        }

        await using var again = MiraProcess.Start(folder);
        await again.WaitUntilReadyAsync();
        using var reader = again.Http(folder.Admin);
        var events = (await reader.CallAsync("GET", "/api/audit?type=auth.failed&limit=200")).Json.GetProperty("events").EnumerateArray().ToList();

        var ofRevoked = events.Where(entry => entry.GetProperty("subject").GetString() == MiraHost.IdOf(revoked)).ToList();
        // The machine may be so busy that an interval passes meanwhile.
        Assert.That(ofRevoked, Has.Count.InRange(1, 20));
        Assert.That(ofRevoked.Sum(entry => entry.GetProperty("count").GetInt64()), Is.EqualTo(300));
        Assert.That(ofRevoked.Select(entry => entry.GetProperty("actor").GetProperty("ip").GetString()), Has.All.Not.Null);
        Assert.That(events.Count(entry => entry.GetProperty("subject").GetString() == MiraHost.IdOf(victim)), Is.EqualTo(1));
    }

    private static async Task<string> EndedAsync(HttpClient admin)
    {
        var token = (await admin.CallAsync("POST", "/api/keys", """{"name":"ended","role":"viewer"}""")).Field("api_key")!;
        Assert.That((await admin.CallAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}")).Verdict, Is.EqualTo("200"));
        return token;
    }

    private static async Task FailAsync(HttpClient http, string token, string address) => Assert.That(
        (await http.CallAsync("GET", "/api/auth/validate", null, "", ("Authorization", $"Bearer {token}"), ("X-Forwarded-For", address))).Verdict,
        Is.EqualTo("401 key_revoked"));
}
