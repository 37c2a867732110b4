using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>Somebody pages through a list while it grows at its beginning.</summary>
internal sealed class PagingRaceTests
{
    private const int Old = 120;

    [Test]
    public async Task Paging_shows_every_old_key_once_while_keys_are_made_and_changed()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        var old = await Task.WhenAll(Enumerable.Range(0, Old).Select(async _ => MiraHost.IdOf(await mira.NewKeyAsync("viewer"))));

        var done = false;
        var making = Task.Run(async () =>
        {
            for (var made = 0; !Volatile.Read(ref done); made++)
            {
                await mira.NewKeyAsync("viewer");
                (await Calls.PatchAsync(admin, $"/api/keys/{old[made % Old]}", $$"""{"name":"changed {{made}}"}""")).Demand(HttpStatusCode.OK);
            }
        });
        for (var round = Soak.RoundsOf(3); round > 0; round--)
        {
            var (seen, seenEvents) = (await PageAsync(admin, "/api/keys?limit=7", "keys", "key_id"), await PageAsync(admin, "/api/audit?limit=7&type=key.created", "events", "subject"));
            Assert.That(seen, Is.Unique);
            Assert.That(old.Except(seen), Is.Empty);
            Assert.That(seenEvents, Is.Unique);
            Assert.That(old.Except(seenEvents), Is.Empty);
        }

        Volatile.Write(ref done, true);
        await making;
    }

    private static async Task<IReadOnlyList<string>> PageAsync(HttpClient admin, string list, string items, string id)
    {
        var seen = new List<string>();
        string? cursor = null;
        do
        {
            var page = (await Calls.GetAsync(admin, cursor is null ? list : $"{list}&cursor={cursor}")).Demand(HttpStatusCode.OK);
            seen.AddRange(page.Items(items).Select(item => (string)item[id]!));
            cursor = page.Text("next_cursor");
        }
        while (cursor is not null);
        return seen;
    }
}
