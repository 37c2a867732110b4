using System.Diagnostics;
using System.Globalization;
using System.Net;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>A node that has only a standby to read from.</summary>
internal sealed class StandbyFaultTests
{
    private const string MaxStaleness = "00:00:04";

    /// <summary>The fault: a node that read a standby let a revoked key in for ever.</summary>
    [TestCase(true)]
    [TestCase(false)]
    public async Task A_node_that_is_cut_off_from_the_primary_lets_a_revoked_key_in_no_longer_than_MaxStaleness(bool severalHosts)
    {
        await using var primary = await PostgresServer.StartNewAsync();
        var database = await primary.CreateDatabaseAsync();
        await using var standby = await primary.StartStandbyAsync();
        using var proxy = TcpProxy.Start(primary.Port);
        var address = severalHosts
            ? $"{primary.ConnectionString(database)};Host=127.0.0.1:{proxy.Port},127.0.0.1:{standby.Port}"
            : primary.ConnectionString(database, proxy.Port);
        using var folder = new TestFolder();
        await using var other = MiraHost.Start(folder: folder, settings: SharedStore.SettingsFor(primary.ConnectionString(database)));
        await using var node = MiraHost.Start(
            folder: folder, settings: [.. SharedStore.SettingsFor(address), ("Mira:Verification:MaxStaleness", MaxStaleness)]);
        var key = await other.NewKeyAsync("viewer");
        using var holder = node.Http(key);
        Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));

        await standby.ExecuteAsync("SELECT pg_wal_replay_pause()");
        (proxy.Target, proxy.Refuses) = (standby.Port, severalHosts);
        proxy.Cut();
        var cut = Stopwatch.GetTimestamp();
        await other.Client().RevokeKeyAsync(MiraHost.IdOf(key));

        // It may go on by what it knows for as long as MaxStaleness says, and then opens to nobody.
        TimeSpan letIn = default;
        await MiraProcess.WaitForAsync(async () =>
        {
            var began = Stopwatch.GetElapsedTime(cut);
            var verdict = (await holder.ValidateAsync()).Verdict;
            letIn = verdict == "200" ? began : letIn;
            return verdict == "503 store_unavailable";
        });
        Assert.That(letIn, Is.LessThan(TimeSpan.Parse(MaxStaleness, CultureInfo.InvariantCulture)), "the beginning of the last call that was let in");
        using var admin = node.Http(node.Admin);
        Assert.That((await admin.ValidateAsync()).Verdict, Is.EqualTo("503 store_unavailable"));
        Assert.That((await admin.CallAsync("GET", "/health/ready")).Status, Is.EqualTo(HttpStatusCode.ServiceUnavailable));

        (proxy.Target, proxy.Refuses) = (primary.Port, false);
        await MiraProcess.WaitForAsync(async () => (await holder.ValidateAsync()).Verdict == "401 key_revoked");
        await MiraProcess.WaitForAsync(async () => (await admin.CallAsync("GET", "/health")).Field("status") == "healthy");
        Assert.That((await admin.CallAsync("GET", "/api/audit?type=integrity.violation")).Json.GetProperty("events").GetArrayLength(), Is.Zero, "no ledger was replaced");
    }
}
