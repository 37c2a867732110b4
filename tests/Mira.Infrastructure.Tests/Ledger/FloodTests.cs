using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

internal sealed class FloodTests
{
    [TestCase(10, TestName = "100 000 bad requests of 100 000 addresses within two minutes add less than 1 MiB")]
    [TestCase(100, TestName = "100 000 bad requests of 100 000 addresses within a quarter of an hour add less than 1 MiB")]
    public async Task A_flood_of_strangers_adds_little(int writes)
    {
        using var store = await Store.OpenAsync();
        var before = await SizeAsync(store);
        var gathered = new AggregatedEvents(store.Clock);
        using var flush = new AggregatedEventFlush(gathered, store.Scopes, store.Clock, NullLogger<AggregatedEventFlush>.Instance);
        var agent = new string('x', 300);
        for (var i = 0; i < 100_000; i++)
        {
            var address = new IPAddress([0x20, 0x01, 0x0d, 0xb8, (byte)(i >> 16), (byte)(i >> 8), (byte)i, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            gathered.Note(new EventGroup(EventType.AuthFailed, "invalid_key") { Address = address }, address, one => new Actor(null, null, null, one.ToString(), agent));
            if ((i + 1) % (100_000 / writes) == 0)
                await flush.StopAsync(CancellationToken.None);
        }

        Assert.That(await SizeAsync(store) - before, Is.LessThan(1 << 20));
        var counts = (await store.EventsAsync()).Select(entry => System.Text.Json.Nodes.JsonNode.Parse(entry.Body)!["count"]!.GetValue<long>());
        Assert.That(counts.Sum(), Is.EqualTo(100_000), "nothing is lost of how many there were");
    }

    private static async Task<long> SizeAsync(Store store) => await store.AskAsync("PRAGMA page_count") * await store.AskAsync("PRAGMA page_size");
}
