using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers.Airtable;
using Person = Mira.TestServers.Airtable.AirtableSheet;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// A node whose keys are governed in a table of a stand-in of its own, and what a test asks of the two.
/// </summary>
internal sealed class AirtableStoreNode : IAsyncDisposable
{
    private readonly bool _ownsServer;

    private AirtableStoreNode(Store store, AirtableServer server, bool ownsServer)
    {
        Store = store;
        Server = server;
        _ownsServer = ownsServer;
    }

    public Store Store { get; }

    public AirtableServer Server { get; }

    public GoverningNode Node => Store.Airtable!;

    /// <summary>The table, as a person has it before him.</summary>
    public Person Table => Node.Sheet;

    /// <summary>A node that has read its table once.</summary>
    public static async Task<AirtableStoreNode> StartAsync(StoreKind kind = StoreKind.Sqlite)
    {
        var server = await AirtableServer.StartAsync(new AirtableServerOptions
        {
            CallsPerSecond = null,
            LockOut = TimeSpan.FromMilliseconds(200),
            Slowness = TimeSpan.FromMilliseconds(50),
            Hold = TimeSpan.FromSeconds(2),
        });
        var governed = new AirtableStoreNode(await Store.OpenAsync(kind), server, ownsServer: true);
        await governed.Store.GovernAsync(server: server);
        await governed.Node.Lease.HoldAsync(CancellationToken.None);
        await governed.SweepAsync();
        return governed;
    }

    /// <summary>Another node on the same table, with an empty database of its own.</summary>
    public async Task<AirtableStoreNode> StartAnewAsync()
    {
        var governed = new AirtableStoreNode(await Store.OpenAsync(), Server, ownsServer: false);
        await governed.Store.GovernAsync(Node.Options.Table, Server);
        await governed.Node.Lease.HoldAsync(CancellationToken.None);
        return governed;
    }

    /// <summary>The process that comes after this one, on the same database and table.</summary>
    public Task<GoverningNode> RestartAsync() => GoverningNode.JoinAsync(Store, Node.Options.Table, Server);

    public async Task<HeldKey> AddAsync(Role role = Role.Operator, string name = "billing")
    {
        var held = new HeldKey(role, name: name);
        await Store.AddAsync(held);
        return held;
    }

    public Task RotateAsync(HeldKey held, out Mira.Domain.Tokens.Token token)
    {
        var made = Mira.Domain.Tokens.Token.Generate(held.Id);
        token = made;
        return Store.ChangeAsync(held.Id, key => key.Rotate(HeldKey.Peppers.Seal(made), new Rotation(TimeSpan.FromMinutes(5)), Store.Clock.GetUtcNow()));
    }

    public Task RevokeAsync(HeldKey held) => Store.ChangeAsync(held.Id, key => key.Revoke("me", null, 1, Store.Clock.GetUtcNow()));

    public Task RenameAsync(HeldKey held, string name) => Store.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = name }, 1, Store.Clock.GetUtcNow()));

    public Task PollAsync() => HoldingAsync(() => Node.Watch.PollAsync(CancellationToken.None));

    public Task SweepAsync() => HoldingAsync(() => Node.Watch.SweepAsync(int.MaxValue, CancellationToken.None));

    public Task SettleAsync() => HoldingAsync(() => Node.Upkeep.SettleAsync(CancellationToken.None));

    public Task RepairAsync() => HoldingAsync(() => Node.Upkeep.RepairAsync(CancellationToken.None));

    /// <summary>Waits until Airtable is called again: after a row of failures nothing is tried for a while.</summary>
    public async Task ReachAsync()
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (true)
        {
            try
            {
                await Node.Get<AirtableClient>().ListAsync(null, null, null, CancellationToken.None);
                return;
            }
            catch (AirtableException)
            {
                await pace.WaitForNextTickAsync();
            }
        }
    }

    /// <summary>What this node answers to who presents the key.</summary>
    public Task<VerdictCode> AskAsync(HeldKey held) => AskAsync(held.Token);

    public async Task<VerdictCode> AskAsync(Mira.Domain.Tokens.Token token) =>
        (await Store.Directory.FindAsync(token.KeyId)).Key?.Verify(token, HeldKey.Peppers, null, Store.Clock.GetUtcNow()).Code ?? VerdictCode.InvalidKey;

    public JsonObject RowOf(HeldKey held) => RowOf(held.Id);

    public JsonObject RowOf(KeyId id) => Table.Find("key_id", id.Value)!.Fields;

    public string RecordIdOf(HeldKey held) => Table.Find("key_id", held.Id.Value)!.Id;

    /// <summary>A person changes a cell.</summary>
    public void Edit(HeldKey held, string field, JsonNode? value) => Table.Edit(RecordIdOf(held), field, value);

    /// <summary>Is the record what a node wrote, and what is true?</summary>
    public async Task<bool> IsInStepAsync(HeldKey held)
    {
        var record = Table.Find("key_id", held.Id.Value)!;
        var key = (await Store.ReadAsync(held.Id))!;
        return Node.Get<RecordMapper>().IsOurs(new AirtableRecord(record.Id, record.Fields)) && RecordMapper.AreEqual(RecordMapper.FieldsOf(key), record.Fields);
    }

    /// <summary>Lets the keeper believe that the records are to be written again.</summary>
    public Task<long> MarkDirtyAsync() => Store.AskAsync("UPDATE airtable_rows SET is_dirty = 1 RETURNING 1");

    public async Task<int> CountIntentsAsync()
    {
        await using var database = Store.CreateDbContext();
        return await database.AirtableIntents.CountAsync();
    }

    public async Task<List<LedgerEvent>> EventsAsync(string type) => [.. (await Store.EventsAsync()).Where(entry => entry.Type == type)];

    // On a slow machine a test lasts longer than the lease.
    private async Task HoldingAsync(Func<Task> work)
    {
        await Node.Lease.HoldAsync(CancellationToken.None);
        await work();
    }

    public async ValueTask DisposeAsync()
    {
        Store.Dispose();
        if (_ownsServer)
            await Server.DisposeAsync();
    }
}
