using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// Clients that change keys while one call in five goes wrong. What they were told, the mirror and the table agree in
/// the end: nothing lost, nothing twice, no revoked key alive. <c>MIRA_ROUNDS</c> asks for a thousand changes.
/// </summary>
public sealed class AirtableChaosTests
{
    private const int Clients = 6;

    private static readonly AirtableFault[] Faults =
    [
        AirtableFault.Error, AirtableFault.ErrorAfter, AirtableFault.Unavailable, AirtableFault.UnavailableAfter, AirtableFault.Slow, AirtableFault.Reset,
        AirtableFault.ResetAfter, AirtableFault.TruncatedAfter, AirtableFault.HtmlAfter, AirtableFault.BadGateway, AirtableFault.Redirect, AirtableFault.TooMany,
    ];

    private static int Operations => Rounds.IsSoak ? 1_000 : 120;

    [Test]
    public async Task With_one_call_in_five_going_wrong_the_clients_the_mirror_and_the_table_agree()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("MIRA_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : Random.Shared.Next();
        await TestContext.Progress.WriteLineAsync($"seed {seed}");
        await using var governed = await AirtableStoreNode.StartAsync();
        governed.Server.Faults.Share(0.2, seed, Faults);
        using var end = new CancellationTokenSource();
        var keeping = Task.Run(() => KeepAsync(governed, end.Token));

        var clients = Enumerable.Range(0, Clients).Select(number => new Client(governed, new Random(seed + number))).ToList();
        var running = Task.WhenAll(clients.Select(client => Task.Run(() => client.RunAsync(Operations / Clients))));
        await await Task.WhenAny(running, keeping);
        Assert.That(running.IsCompletedSuccessfully);
        governed.Server.Faults.Clear();
        await end.CancelAsync();
        await keeping;
        await SettleAllAsync(governed);

        foreach (var held in clients.SelectMany(client => client.Keys))
            await held.CheckAsync(governed);
        await CheckTableAsync(governed);
        await TestContext.Progress.WriteLineAsync(
            $"{Operations} changes, {clients.Sum(client => client.Refused)} refused or unknown, {governed.Server.Calls.Count} calls, {clients.Sum(client => client.Keys.Count)} keys");
        Assert.That(clients.Sum(client => client.Refused), Is.GreaterThan(0), "nothing went wrong");
    }

    /// <summary>All that goes on beside the calls.</summary>
    private static async Task KeepAsync(AirtableStoreNode governed, CancellationToken end)
    {
        for (var round = 1; !end.IsCancellationRequested; round++)
        {
            await governed.Node.Lease.HoldAsync(CancellationToken.None);
            await TryAsync(governed.SettleAsync);
            await TryAsync(governed.PollAsync);
            await TryAsync(governed.RepairAsync);
            if (round % 5 == 0)
                await TryAsync(governed.SweepAsync);
        }
    }

    private static async Task SettleAllAsync(AirtableStoreNode governed)
    {
        for (var quiet = 0; quiet < 2;)
        {
            await governed.Node.Lease.HoldAsync(CancellationToken.None);
            var worked = await TryAsync(governed.SettleAsync) & await TryAsync(governed.SweepAsync) & await TryAsync(governed.RepairAsync);
            await using var database = governed.Store.CreateDbContext();
            quiet = worked && !await database.AirtableIntents.AnyAsync() && !await database.AirtableRows.AnyAsync(row => row.IsDirty) ? quiet + 1 : 0;
        }
    }

    private static async Task<bool> TryAsync(Func<Task> work)
    {
        try
        {
            await work();
            return true;
        }
        catch (Exception exception) when (exception is AirtableException or StoreUnavailableException)
        {
            return false;
        }
    }

    private static async Task CheckTableAsync(AirtableStoreNode governed)
    {
        var rows = governed.Table.Snapshot();
        await using var database = governed.Store.CreateDbContext();
        var keys = await database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).AsNoTracking().ToListAsync();
        Assert.That(rows.Select(row => (string?)row.Fields["key_id"]), Is.EquivalentTo(keys.Select(key => key.Id.Value)), "each key has one record, and nothing else has");
        var form = governed.Node.Get<RecordMapper>();
        foreach (var key in keys)
        {
            var row = rows.Single(one => (string?)one.Fields["key_id"] == key.Id.Value);
            Assert.That(form.IsOurs(new AirtableRecord(row.Id, row.Fields)), $"{key.Id}");
            Assert.That(RecordMapper.AreEqual(RecordMapper.FieldsOf(key), row.Fields), $"{key.Id}");
            Assert.That(key.IsQuarantined, Is.False, $"{key.Id}");
        }

        var last = LedgerPosition.Start;
        foreach (var entry in await governed.Store.EventsAsync())
        {
            Assert.That(entry.Follows(last));
            last = entry.Position;
        }

        Assert.That(await governed.EventsAsync(EventType.IntegrityViolation), Is.Empty, "no node accuses another");
    }

    /// <summary>What a client was told of one of its keys.</summary>
    private sealed class Kept(KeyId id, Token token)
    {
        public KeyId Id { get; } = id;

        public Token Token { get; set; } = token;

        public string Name { get; set; } = "first";

        public bool IsRevoked { get; set; }

        /// <summary>Tokens whose rotation was never answered.</summary>
        public List<Token> Unanswered { get; } = [];

        public async Task CheckAsync(AirtableStoreNode governed)
        {
            var key = (await governed.Store.ReadAsync(Id))!;
            Assert.That((key.Name, key.RevokedAt is not null), Is.EqualTo((Name, IsRevoked)), Id.Value);
            Assert.That(await governed.AskAsync(Token), Is.EqualTo(IsRevoked ? VerdictCode.KeyRevoked : VerdictCode.Valid), Id.Value);
            foreach (var token in Unanswered)
                Assert.That(await governed.AskAsync(token), Is.EqualTo(VerdictCode.InvalidKey), "nobody was told of it");
        }
    }

    private sealed class Client(AirtableStoreNode governed, Random random)
    {
        public List<Kept> Keys { get; } = [];

        public int Refused { get; private set; }

        public async Task RunAsync(int operations)
        {
            for (var number = 0; number < operations; number++)
            {
                var alive = Keys.Where(key => !key.IsRevoked).ToList();
                if (alive.Count == 0 || random.Next(4) == 0)
                    await CreateAsync();
                else
                    await ChangeAsync(alive[random.Next(alive.Count)], number);
            }
        }

        private async Task CreateAsync()
        {
            var held = new HeldKey(name: "first");
            if (await DoneAsync(() => governed.Store.AddAsync(held)))
                Keys.Add(new Kept(held.Id, held.Token));
            else
                Assert.That(await SettledAsync(held.Id), Is.Null, "a key whose token was never sent");
        }

        private async Task ChangeAsync(Kept kept, int number)
        {
            switch (random.Next(4))
            {
                case 0:
                    if (await DoneAsync(() => governed.Store.ChangeAsync(kept.Id, key => key.Revoke("me", null, 1, HeldKey.Start))))
                        kept.IsRevoked = true;
                    else
                        kept.IsRevoked = (await SettledAsync(kept.Id))!.RevokedAt is not null;
                    break;
                case 1:
                    var token = Token.Generate(kept.Id);
                    if (await DoneAsync(() => governed.Store.ChangeAsync(kept.Id, key => key.Rotate(HeldKey.Peppers.Seal(token), new Rotation(TimeSpan.Zero), HeldKey.Start))))
                        kept.Token = token;
                    else
                        kept.Unanswered.Add(token);
                    await SettledAsync(kept.Id);
                    break;
                default:
                    var name = $"name {number}";
                    if (await DoneAsync(() => governed.Store.ChangeAsync(kept.Id, key => key.Update(new KeyUpdate { Name = name }, 1, HeldKey.Start))))
                    {
                        kept.Name = name;
                        break;
                    }

                    var settled = (await SettledAsync(kept.Id))!.Name;
                    Assert.That(settled, Is.EqualTo(kept.Name).Or.EqualTo(name), "half of it, or another's");
                    kept.Name = settled;
                    break;
            }
        }

        private async Task<bool> DoneAsync(Func<Task> change)
        {
            try
            {
                await change();
                return true;
            }
            catch (StoreUnavailableException)
            {
                Refused++;
                return false;
            }
        }

        /// <summary>The key, once nothing of it is on its way.</summary>
        private async Task<ApiKey?> SettledAsync(KeyId id)
        {
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
            var began = TimeProvider.System.GetTimestamp();
            while (true)
            {
                await using (var database = governed.Store.CreateDbContext())
                {
                    if (await database.AirtableIntents.AsNoTracking().SingleOrDefaultAsync(intent => intent.KeyId == id) is not { } intent)
                        return await governed.Store.ReadAsync(id);
                    Assert.That(TimeProvider.System.GetElapsedTime(began), Is.LessThan(TimeSpan.FromMinutes(2)), $"{intent.Kind} is {intent.State} and never settled");
                }

                await pace.WaitForNextTickAsync();
            }
        }
    }
}
