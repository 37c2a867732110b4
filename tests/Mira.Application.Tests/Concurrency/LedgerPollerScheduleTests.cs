using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Concurrency;

/// <summary>
/// The follower of the ledger under many schedules: who waits for it knows what was committed before he asked.
/// </summary>
internal sealed class LedgerPollerScheduleTests
{
    [Test]
    public void No_schedule_misses_what_was_committed_before() =>
        Schedules.AllPass(schedule => Run(schedule, sharesRunning: false));

    [Test]
    public void A_running_query_that_is_shared_is_found() =>
        Schedules.Find(schedule => Run(schedule, sharesRunning: true));

    /// <param name="sharesRunning">The planted race: who asks while a query runs waits for that one.</param>
    private static void Run(Schedule schedule, bool sharesRunning)
    {
        using var node = new CacheNode(schedule);
        Task? running = null;
        var known = 0L;

        // Another node, which tells nobody.
        schedule.Begin(async () =>
        {
            for (var change = 0; change < 3; change++)
            {
                await schedule.PauseAsync();
                node.Commit(node.DrawKey());
            }
        });

        // This node commits, and answers when it has taken in what it committed.
        schedule.Begin(async () =>
        {
            for (var change = 0; change < 2; change++)
            {
                await schedule.PauseAsync();
                var committed = node.Commit(node.DrawKey());
                await schedule.PauseAsync();
                if (!node.Follower.TryApply([committed]))
                    await CatchUpAsync();
                known = Math.Max(known, committed.Seq);
                await node.FindAsync(node.DrawKey(), KnownVersion);
            }
        });

        for (var caller = 0; caller < 3; caller++)
        {
            schedule.Begin(async () =>
            {
                for (var call = 0; call < 2; call++)
                {
                    var head = node.Events.Count;
                    await CatchUpAsync();
                    if (node.Follower.Seen.Seq is var seen && seen < head)
                        throw new ScheduleException($"{head} events were there before the look, and it brought {seen}");

                    known = Math.Max(known, head);
                    await node.FindAsync(node.DrawKey(), KnownVersion);
                }
            });
        }

        schedule.Run();
        if (node.Follower.IsBroken)
            throw new ScheduleException("the ledger is said to be broken");
        if (node.Events.All(entry => entry.Position != node.Follower.Seen))
            throw new ScheduleException("the node has not come to an event of the ledger");

        int KnownVersion(KeyId id) => node.VersionAt(id, known);

        Task CatchUpAsync()
        {
            if (!sharesRunning)
                return node.CatchUpAsync();
            return running is { IsCompleted: false } ? running : running = node.CatchUpAsync();
        }
    }
}
