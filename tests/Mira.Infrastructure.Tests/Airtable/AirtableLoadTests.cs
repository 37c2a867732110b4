using System.Diagnostics;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// A table as large as Airtable's users have, at Airtable's own pace: 5 calls in any second, then 30 s of refusals.
/// <c>MIRA_ROUNDS</c> asks for 10 000 keys.
/// </summary>
public sealed class AirtableLoadTests
{
    private const int PageSize = 100;

    private static int Count => Rounds.IsSoak ? 10_000 : 700;

    [Test]
    public async Task A_large_table_is_read_within_the_limit_and_not_said_to_be_known_before()
    {
        await using var server = await AirtableServer.StartAsync();
        using var store = await Store.OpenAsync();
        await store.GovernAsync(server: server, isStrict: true);
        var node = store.Airtable!;
        var held = Fill(node, Count);
        await node.Lease.HoldAsync(CancellationToken.None);
        await using var holding = new LeaseKeepAlive(node.Lease, TimeProvider.System);

        var started = Stopwatch.StartNew();
        var calls = server.Calls.Count;
        var sweeping = node.Watch.SweepAsync(int.MaxValue, CancellationToken.None);
        await node.Sight.RefreshAsync(CancellationToken.None);
        Assert.That(node.Sight.IsReady, Is.False);
        await sweeping;
        await node.Sight.RefreshAsync(CancellationToken.None);

        Assert.That(node.Sight.IsReady);
        Assert.That(server.Calls.Count - calls, Is.EqualTo((Count + PageSize - 1) / PageSize));
        Assert.That(server.BusiestSecond, Is.LessThanOrEqualTo(5));
        Assert.That(await store.AskAsync("SELECT count(*) FROM keys"), Is.EqualTo(Count));
        foreach (var one in held)
            Assert.That((await store.ReadAsync(one.Id))!.Verify(one.Token, HeldKey.Peppers, null, HeldKey.Start).Code, Is.EqualTo(VerdictCode.Valid));
        await TestContext.Progress.WriteLineAsync($"{Count} keys read in {started.Elapsed.TotalSeconds:0.0} s with {server.Calls.Count - calls} calls");
    }

    [Test]
    public async Task Many_changes_at_once_share_calls_and_stay_within_the_limit()
    {
        await using var server = await AirtableServer.StartAsync();
        using var store = await Store.OpenAsync();
        await store.GovernAsync(server: server, isStrict: true);
        var node = store.Airtable!;
        await node.Lease.HoldAsync(CancellationToken.None);
        await node.Watch.SweepAsync(int.MaxValue, CancellationToken.None);
        HeldKey[] keys = [.. Enumerable.Range(0, 40).Select(_ => new HeldKey())];

        var started = Stopwatch.StartNew();
        var calls = server.Calls.Count;
        await Task.WhenAll(keys.Select(held => Task.Run(() => store.AddAsync(held))));

        Assert.That(node.Sheet.Snapshot(), Has.Count.EqualTo(keys.Length));
        Assert.That(server.BusiestSecond, Is.LessThanOrEqualTo(5));
        Assert.That(server.Calls.Count - calls, Is.LessThan(keys.Length), "two calls each would take 16 s");
        await TestContext.Progress.WriteLineAsync($"{keys.Length} keys made in {started.Elapsed.TotalSeconds:0.0} s with {server.Calls.Count - calls} calls");
    }

    /// <summary>The table as other nodes left it.</summary>
    private static List<HeldKey> Fill(GoverningNode node, int count)
    {
        var form = node.Get<RecordMapper>();
        var sample = new List<HeldKey>();
        for (var number = 0; number < count; number++)
        {
            var held = new HeldKey(name: $"key {number}");
            var fields = RecordMapper.FieldsOf(held.Key);
            var recordId = node.Sheet.Insert((JsonObject)fields.DeepClone());
            node.Sheet.Edit(recordId, TableSchema.Mac, form.Sign(fields, recordId, 1));
            if (number % (count / 10) == 0)
                sample.Add(held);
        }

        return sample;
    }
}
