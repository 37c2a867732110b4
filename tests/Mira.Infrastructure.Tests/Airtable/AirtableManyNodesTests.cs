using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>Two nodes on one PostgreSQL: one calls Airtable, the other hands it what it has decided.</summary>
public sealed class AirtableManyNodesTests
{
    private AirtableStoreNode _holder = null!;
    private Store _other = null!;
    private CancellationTokenSource _end = null!;

    [SetUp]
    public async Task SetUp()
    {
        _end = new CancellationTokenSource();
        _holder = await AirtableStoreNode.StartAsync(StoreKind.Postgres);
        _other = await Store.JoinAsync(_holder.Store.Address);
        await _other.GovernAsync(_holder.Node.Options.Table, _holder.Server);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _end.CancelAsync();
        _end.Dispose();
        _other.Dispose();
        await _holder.DisposeAsync();
    }

    [Test]
    public async Task Only_one_node_has_the_lease()
    {
        Assert.That(await _other.Airtable!.Lease.HoldAsync(CancellationToken.None), Is.False);
        Assert.That(await _holder.Node.Lease.HoldAsync(CancellationToken.None), Is.True);
    }

    [Test]
    public async Task Of_nodes_that_come_at_once_one_gets_it()
    {
        await using (var database = _holder.Store.CreateDbContext())
            await database.AirtableStates.ExecuteUpdateAsync(set => set.SetProperty(state => state.HeldUntil, DateTimeOffset.UnixEpoch).SetProperty(state => state.Holder, (string?)null));
        GoverningNode[] nodes = [.. await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => GoverningNode.JoinAsync(_other, _holder.Node.Options.Table, _holder.Server)))];

        var held = await Task.WhenAll(nodes.Select(node => node.Lease.HoldAsync(CancellationToken.None)));

        Assert.That(held.Count(isHeld => isHeld), Is.EqualTo(1));
        foreach (var node in nodes)
            node.Dispose();
    }

    [Test]
    public async Task A_node_without_the_lease_calls_nothing_however_long_the_call_waited_for_its_turn()
    {
        var calls = _holder.Server.Calls.Count;

        Assert.That(
            () => _other.Airtable!.Get<AirtableClient>().ListAsync(null, null, null, CancellationToken.None),
            Throws.TypeOf<AirtableException>().With.Property(nameof(AirtableException.Fate)).EqualTo(DeliveryState.NotSent));

        Assert.That(_holder.Server.Calls, Has.Count.EqualTo(calls));
    }

    [Test]
    public async Task The_next_holder_has_a_larger_fence()
    {
        var first = _holder.Node.Lease.Fence;
        await _holder.Node.Lease.ReleaseAsync();
        _holder.Store.Clock.Advance(TimeSpan.FromSeconds(5));
        _other.Clock.Advance(TimeSpan.FromSeconds(5));

        Assert.That(await _other.Airtable!.Lease.HoldAsync(CancellationToken.None));
        Assert.That(_other.Airtable.Lease.Fence, Is.GreaterThan(first));
        Assert.That(_holder.Node.Lease.IsHeld, Is.False);
    }

    [Test]
    public async Task What_another_node_decides_is_written_by_the_holder_and_known_to_both()
    {
        var serving = ServeAsync();
        var held = new HeldKey();

        await _other.AddAsync(held);
        await _other.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = "renamed" }, 1, HeldKey.Start));

        await _holder.Store.Follower.CatchUpAsync();
        Assert.That(await _holder.AskAsync(held), Is.EqualTo(VerdictCode.Valid));
        Assert.That(await _holder.IsInStepAsync(held));
        Assert.That((string?)_holder.RowOf(held)["name"], Is.EqualTo("renamed"));
        await EndAsync(serving);
    }

    [Test]
    public async Task What_the_holder_cannot_write_did_not_happen_for_the_other_either()
    {
        var serving = ServeAsync();
        _holder.Server.Faults.Always(AirtableFault.TooMany, call => call.IsWrite);

        Assert.That(() => _other.AddAsync(new HeldKey()), Throws.TypeOf<StoreUnavailableException>());

        Assert.That(await _holder.CountIntentsAsync(), Is.Zero);
        await EndAsync(serving);
    }

    [Test]
    public async Task A_change_whose_node_is_gone_is_settled_after_its_time()
    {
        var held = new HeldKey();
        await _holder.Store.AddAsync(held);
        var call = _holder.Server.Hold(arrived => arrived.IsWrite);
        var revoking = _holder.RevokeAsync(held);
        await call.Arrived;

        await _holder.SettleAsync();
        Assert.That(await _holder.AskAsync(held), Is.EqualTo(VerdictCode.Valid), "its node may still answer");
        _holder.Store.Clock.Advance(TimeSpan.FromMinutes(1));
        await _holder.SettleAsync();

        Assert.That(await _holder.AskAsync(held), Is.EqualTo(VerdictCode.KeyRevoked));
        await call.ReleaseAsync();
        Assert.That(() => revoking, Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task What_a_node_writes_late_that_lost_the_lease_is_written_over()
    {
        var held = new HeldKey();
        await _holder.Store.AddAsync(held);
        var late = _holder.Server.Hold(arrived => arrived.IsWrite);
        var renaming = _holder.RenameAsync(held, "late");
        await late.Arrived;
        await _holder.Node.Lease.ReleaseAsync();
        _holder.Store.Clock.Advance(TimeSpan.FromMinutes(2));
        _other.Clock.Advance(TimeSpan.FromMinutes(2));
        await _other.Airtable!.Lease.HoldAsync(CancellationToken.None);
        await _other.Airtable.Upkeep.SettleAsync(CancellationToken.None);
        await _other.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = "newer" }, 1, HeldKey.Start));

        await late.ReleaseAsync();
        Assert.That(() => renaming, Throws.TypeOf<StoreUnavailableException>());
        Assert.That((string?)_holder.RowOf(held)["name"], Is.EqualTo("late"));
        await _other.Airtable.Watch.PollAsync(CancellationToken.None);
        await _other.Airtable.Upkeep.RepairAsync(CancellationToken.None);

        Assert.That((string?)_holder.RowOf(held)["name"], Is.EqualTo("newer"));
        Assert.That((await _other.ReadAsync(held.Id))!.Name, Is.EqualTo("newer"));
    }

    [Test]
    public async Task Without_the_ledgers_own_database_nobody_is_told_that_Airtable_is_away()
    {
        _other.Watch.Fails = sql => sql.Contains("airtable_state", StringComparison.Ordinal);

        await _other.Airtable!.Ledger.ChangeAsync(
            change =>
            {
                change.Record(new KeyEvent(EventType.SystemStarted, null, []));
                return Task.FromResult(true);
            },
            CancellationToken.None);
        Assert.That(
            () => _other.Airtable.Ledger.ChangeAsync(
                change =>
                {
                    change.Add(new HeldKey().Key);
                    return Task.FromResult(true);
                },
                CancellationToken.None),
            Throws.TypeOf<LedgerUnavailableException>());
    }

    private Task ServeAsync() => Task.Run(async () =>
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await pace.WaitForNextTickAsync(_end.Token))
            await _holder.Node.Courier.ServeAsync(_end.Token);
    });

    private async Task EndAsync(Task serving)
    {
        await _end.CancelAsync();
        Assert.That(() => serving, Throws.InstanceOf<OperationCanceledException>());
    }
}
