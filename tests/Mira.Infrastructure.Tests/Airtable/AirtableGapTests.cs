using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;
using Trash = Mira.TestServers.Airtable.RecordState;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// A person acts in each gap between two calls of whatever Mira does at that time. A revocation or a deletion by hand
/// is final within two sweeps, and nothing brings a revoked key back.
/// </summary>
[Parallelizable(ParallelScope.All)]
public sealed class AirtableGapTests
{
    public enum Work
    {
        Repair,
        Rename,
        Rotate,
        Revoke,
        UndoneRotation,
        SettledUpdate,
        Poll,
        Sweep,
        HandOver,
    }

    public enum Act
    {
        Revoke,
        Delete,
        RevokeAndDelete,
        Edit,
        Restore,
    }

    // All of them take a quarter of an hour, so build/soak.sh runs them all and every other run the ones that write.
    private static Work[] Works => Rounds.IsSoak ? Enum.GetValues<Work>() : [Work.Repair, Work.Rename, Work.Sweep, Work.HandOver];

    private static Act[] Acts => Rounds.IsSoak ? Enum.GetValues<Act>() : [Act.Revoke, Act.Delete];

    [Test]
    public async Task A_person_acts_before_each_call_and_after_the_last([ValueSource(nameof(Works))] Work work, [ValueSource(nameof(Acts))] Act act)
    {
        await using var governed = await AirtableStoreNode.StartAsync();
        var gap = 0;
        for (var isInside = true; isInside;)
        {
            var held = await governed.AddAsync();
            var trash = governed.Table.Find("key_id", held.Id.Value)!;
            if (act == Act.Restore)
            {
                governed.Table.Delete(trash.Id);
                await governed.SweepAsync();
            }

            await PrepareAsync(governed, held, work);
            isInside = await RunAsync(governed, held, work, ++gap, () => Do(governed, held, act, trash));
            await ConvergeAsync(governed);
            await CheckAsync(governed, held, work, act, $"gap {gap}");
        }

        // What is known to be missing is not written.
        if (act != Act.Restore)
            Assert.That(gap, Is.GreaterThan(1), "there was no call to act before");
    }

    private static async Task PrepareAsync(AirtableStoreNode governed, HeldKey held, Work work)
    {
        switch (work)
        {
            case Work.Repair or Work.HandOver:
                await governed.MarkDirtyAsync();
                break;
            case Work.UndoneRotation:
                governed.Server.Faults.Always(AirtableFault.HtmlAfter, call => call.IsWrite);
                await TryAsync(() => governed.RotateAsync(held, out _));
                break;
            case Work.SettledUpdate:
                governed.Server.Faults.Always(AirtableFault.HtmlAfter, call => call.IsWrite);
                await TryAsync(() => governed.RenameAsync(held, "renamed"));
                break;
            default:
                break;
        }

        governed.Server.Faults.Clear();
    }

    /// <returns>Whether there was such a call.</returns>
    private static async Task<bool> RunAsync(AirtableStoreNode governed, HeldKey held, Work work, int gap, Action act)
    {
        var calls = 0;
        var call = governed.Server.Hold(_ => Interlocked.Increment(ref calls) == gap);
        var working = Task.Run(() => TryAsync(() => DoAsync(governed, held, work)));
        await Task.WhenAny(call.Arrived, working);
        var isInside = call.Arrived.IsCompleted;
        act();
        if (isInside)
            await call.ReleaseAsync();
        await working;
        governed.Server.Forget(call);
        return isInside;
    }

    private static async Task DoAsync(AirtableStoreNode governed, HeldKey held, Work work)
    {
        switch (work)
        {
            case Work.Repair:
                await governed.RepairAsync();
                break;
            case Work.Rename:
                await governed.RenameAsync(held, "renamed");
                break;
            case Work.Rotate:
                await governed.RotateAsync(held, out _);
                break;
            case Work.Revoke:
                await governed.RevokeAsync(held);
                break;
            case Work.UndoneRotation or Work.SettledUpdate:
                await governed.SettleAsync();
                await governed.RepairAsync();
                break;
            case Work.Poll:
                await governed.PollAsync();
                break;
            case Work.Sweep:
                await governed.SweepAsync();
                break;
            default:
                await HandOverAsync(governed);
                break;
        }
    }

    // The former holder has its repair on the way when the next one begins with its own.
    private static async Task HandOverAsync(AirtableStoreNode governed)
    {
        var late = governed.RepairAsync();
        await governed.Store.AskAsync("UPDATE airtable_state SET held_until = 0 RETURNING 1");
        using (var next = await governed.RestartAsync())
        {
            await next.Lease.HoldAsync(CancellationToken.None);
            await next.Watch.PollAsync(CancellationToken.None);
            await next.Upkeep.RepairAsync(CancellationToken.None);
            await next.Watch.PollAsync(CancellationToken.None);
        }

        await governed.Store.AskAsync("UPDATE airtable_state SET held_until = 0 RETURNING 1");
        await late;
    }

    private static void Do(AirtableStoreNode governed, HeldKey held, Act act, Trash trash)
    {
        // Gone when it was deleted before, or by this.
        var id = governed.Table.Find("key_id", held.Id.Value)?.Id;
        switch (act)
        {
            case Act.Restore:
                governed.Table.Restore(trash);
                break;
            case Act.Revoke or Act.RevokeAndDelete:
                governed.Table.Edit(id!, "status", "revoked");
                break;
            case Act.Edit:
                governed.Table.Edit(id!, "role", "admin");
                break;
            default:
                break;
        }

        if (act is Act.Delete or Act.RevokeAndDelete)
            governed.Table.Delete(id!);
    }

    /// <summary>What a node does in some minutes.</summary>
    private static async Task ConvergeAsync(AirtableStoreNode governed)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await governed.Node.Lease.HoldAsync(CancellationToken.None))
            await pace.WaitForNextTickAsync();
        for (var sweep = 0; sweep < 2; sweep++)
        {
            await governed.SettleAsync();
            await governed.PollAsync();
            await governed.RepairAsync();
            await governed.SweepAsync();
            await governed.RepairAsync();
            await governed.PollAsync();
        }
    }

    private static async Task CheckAsync(AirtableStoreNode governed, HeldKey held, Work work, Act act, string where)
    {
        var verdict = await governed.AskAsync(held);
        var key = (await governed.Store.ReadAsync(held.Id))!;
        Assert.That(key.Role, Is.EqualTo(Role.Operator), where);
        switch (act)
        {
            case Act.Revoke:
                Assert.That(verdict, Is.EqualTo(VerdictCode.KeyRevoked), where);
                Assert.That(await governed.IsInStepAsync(held), where);
                break;
            case Act.Delete or Act.RevokeAndDelete:
                Assert.That(verdict, Is.EqualTo(VerdictCode.KeyRevoked), where);
                Assert.That(governed.Table.Find("key_id", held.Id.Value), Is.Null, $"{where}: it was made again");
                break;
            case Act.Edit:
                Assert.That(verdict == VerdictCode.KeyDisabled || await governed.IsInStepAsync(held), where);
                break;
            default:
                // Whoever comes too late with it finds it revoked.
                Assert.That(verdict, Is.EqualTo(work == Work.Revoke ? VerdictCode.KeyRevoked : VerdictCode.Valid).Or.EqualTo(VerdictCode.KeyRevoked), where);
                Assert.That(await governed.IsInStepAsync(held), where);
                break;
        }

        if (key.RevokedAt is null)
            return;

        await governed.SweepAsync();
        await governed.RepairAsync();
        await governed.PollAsync();
        Assert.That(await governed.AskAsync(held), Is.EqualTo(VerdictCode.KeyRevoked), where);
    }

    private static async Task TryAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (exception is StoreUnavailableException or AirtableException)
        {
            // A person was faster.
        }
    }
}
