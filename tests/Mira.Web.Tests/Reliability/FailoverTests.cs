using System.Collections.Concurrent;
using System.Diagnostics;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// The database fails over to a synchronous standby while keys are made: whatever was answered is there afterwards, and
/// changes work again soon after the new primary takes them. <c>MIRA_ROUNDS</c> fails over several times.
/// </summary>
internal sealed class FailoverTests
{
    /// <summary>
    /// From the promotion on. Three seconds are promised; the other three are for a machine that has other work.
    /// </summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(6);

    private const int Writers = 4;

    [TestCase("proxy")]
    [TestCase("hosts")]
    [TestCase("hosts, frozen")]
    public async Task No_change_that_was_answered_is_lost_and_changes_work_again_soon(string way)
    {
        for (var round = 0; round < Soak.RoundsOf(1); round++)
            await FailOverAsync(way);
    }

    private static async Task FailOverAsync(string way)
    {
        await using var old = await PostgresServer.StartNewAsync();
        var database = await old.CreateDatabaseAsync();
        await using var next = await old.StartStandbyAsync();
        await old.CommitWithStandbyAsync();
        using var proxy = TcpProxy.Start(old.Port);
        var address = way == "proxy"
            ? old.ConnectionString(database, proxy.Port)
            : $"{old.ConnectionString(database)};Host=127.0.0.1:{old.Port},127.0.0.1:{next.Port}";
        using var folder = new TestFolder();
        await using var mira = MiraHost.Start(folder: folder, settings: SharedStore.SettingsFor(address));

        var (made, isOver, promoted, back) = (new ConcurrentQueue<string>(), false, long.MaxValue, 0L);
        var writers = Enumerable.Range(0, Writers).Select(_ => Task.Run(async () =>
        {
            using var admin = new HttpClient { BaseAddress = mira.Address };
            admin.DefaultRequestHeaders.Authorization = new("Bearer", mira.Admin);
            while (!Volatile.Read(ref isOver))
            {
                var began = Stopwatch.GetTimestamp();
                var answer = await admin.CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer"}""");
                if (answer.Verdict != "201")
                    continue;
                made.Enqueue(answer.Field("key_id")!);
                if (Volatile.Read(ref back) == 0 && began > Volatile.Read(ref promoted))
                    Interlocked.CompareExchange(ref back, Stopwatch.GetTimestamp(), 0);
            }
        })).ToList();
        await MiraProcess.WaitForAsync(() => Task.FromResult(made.Count > 20));

        await (way.EndsWith("frozen", StringComparison.Ordinal) ? old.PauseAsync() : way == "proxy" ? old.StopAsync() : old.KillAsync());
        await next.PromoteAsync();
        if (way == "proxy")
        {
            // The old one comes back as a standby, and connections are made to it before the proxy leads to the new
            // one.
            await old.FollowAsync(next);
            using var reader = mira.Http(mira.Admin);
            await reader.CallAsync("GET", "/api/keys?limit=1");
            await MiraProcess.WaitForAsync(async () => (await reader.CallAsync("GET", "/health")).Field("status") != "healthy");
            proxy.Target = next.Port;
        }

        Volatile.Write(ref promoted, Stopwatch.GetTimestamp());
        await MiraProcess.WaitForAsync(() => Task.FromResult(Volatile.Read(ref back) != 0));
        var pause = Stopwatch.GetElapsedTime(promoted, back);
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(writers);

        await using var connection = await next.ConnectAsync(database);
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT id FROM keys";
        var there = new HashSet<string>();
        await using (var rows = await command.ExecuteReaderAsync())
        {
            while (await rows.ReadAsync())
                there.Add(rows.GetString(0));
        }

        using var caller = mira.Http(mira.Admin);
        await MiraProcess.WaitForAsync(async () => (await caller.CallAsync("GET", "/health")).Field("status") == "healthy");
        Soak.Print($"{way}: {made.Count} changes answered, 0 may be lost; the first one after {pause.TotalSeconds:0.0} s");
        Assert.That(made.Where(id => !there.Contains(id)), Is.Empty);
        Assert.That(pause, Is.LessThan(Limit));
    }
}
