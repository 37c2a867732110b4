using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Concurrency;

/// <summary>The key cache under many schedules: nothing older than what the node has heard of is ever found.</summary>
internal sealed class KeyCacheScheduleTests
{
    private enum Race
    {
        None,

        /// <summary>A change is remembered after the entry was dropped, and a read may end in between.</summary>
        DropsBeforeItRemembers,

        /// <summary>The store reads a key in one statement, and the ledger's position in another one.</summary>
        ReadsPositionApart,
    }

    [Test]
    public void No_schedule_finds_an_older_key_than_is_known() =>
        Schedules.AllPass(schedule => Run(schedule, Race.None));

    [Test]
    public void A_change_that_is_remembered_too_late_is_found() =>
        Schedules.Find(schedule => Run(schedule, Race.DropsBeforeItRemembers));

    [Test]
    public void A_position_that_is_read_apart_from_the_key_is_found() =>
        Schedules.Find(schedule => Run(schedule, Race.ReadsPositionApart));

    private static void Run(Schedule schedule, Race race)
    {
        using var node = new CacheNode(schedule) { ReadsPositionApart = race == Race.ReadsPositionApart };
        var heard = new Dictionary<KeyId, int>();
        for (var changer = 0; changer < 2; changer++)
        {
            schedule.Begin(async () =>
            {
                for (var change = 0; change < 3; change++)
                {
                    await schedule.PauseAsync();
                    var committed = node.Commit(node.DrawKey());
                    await schedule.PauseAsync();
                    await TakeInAsync(committed);
                }
            });
        }

        for (var caller = 0; caller < 3; caller++)
        {
            schedule.Begin(async () =>
            {
                for (var call = 0; call < 3; call++)
                {
                    await node.FindAsync(node.DrawKey(), id => heard.GetValueOrDefault(id));
                    await schedule.PauseAsync();
                    if (schedule.Random.Next(2) == 0)
                        node.Directory.Drop(node.DrawKey());
                }
            });
        }

        schedule.Run();

        // The node's own change first, then what others committed before it, as a look brings it.
        async Task TakeInAsync(LedgerEvent committed)
        {
            if (race == Race.DropsBeforeItRemembers)
            {
                var id = CacheNode.IdOf(committed);
                node.Directory.Drop(id);
                await schedule.PauseAsync();
                node.Changes.Add(committed.Seq, id);
                Hear(committed);
                return;
            }

            // The change is not answered yet, so nobody relies on it.
            node.Follower.TryApply([committed]);
            await schedule.PauseAsync();
            var missing = node.Events.Skip((int)node.Follower.Seen.Seq).ToList();
            node.Follower.TryApply(missing);
            missing.ForEach(Hear);
        }

        void Hear(LedgerEvent entry)
        {
            var id = CacheNode.IdOf(entry);
            heard[id] = Math.Max(heard.GetValueOrDefault(id), node.VersionAt(id, entry.Seq));
        }
    }
}
