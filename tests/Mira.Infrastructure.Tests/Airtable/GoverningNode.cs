using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>The half of a node that talks to Airtable, over a store's database and a table of its own.</summary>
internal sealed class GoverningNode : IDisposable
{
    private readonly ServiceProvider _services;
    private readonly Store _store;

    private GoverningNode(Store store, AirtableServer server, AirtableOptions options)
    {
        Server = server;
        Options = options;
        _services = new ServiceCollection()
            .AddLogging()
            .AddSingleton(TimeProvider.System)
            .AddSingleton(HeldKey.Peppers)
            .AddSingleton<Microsoft.EntityFrameworkCore.IDbContextFactory<MiraDbContext>>(store)
            .AddSingleton(store.Sql)
            .AddSingleton(store.Gate)
            .AddSingleton(store.Seal)
            .AddSingleton(store.Rows)
            .AddSingleton(store.Follower)
            .AddSingleton(new AggregatedEvents(TimeProvider.System))
            .AddSingleton(new LedgerPollerOptions { IsShared = store.IsShared })
            .AddScoped(_ => store.Scope)
            .AddScoped<SqlLedger>()
            .AddMiraAirtable(options)
            .BuildServiceProvider();
        _store = store;
        Ledger = LedgerOf(options);
    }

    public AirtableServer Server { get; }

    public AirtableOptions Options { get; }

    public AirtableSheet Sheet => Server.Sheet(Options.Table);

    public AirtableLedger Ledger { get; }

    public WriterLease Lease => Get<WriterLease>();

    public TablePoller Watch => Get<TablePoller>();

    public RecordRepairs Upkeep => Get<RecordRepairs>();

    public AirtableStatus Sight => Get<AirtableStatus>();

    public IntentDispatcher Courier => Get<IntentDispatcher>();

    public AggregatedEvents AggregatedEvents => Get<AggregatedEvents>();

    public MirrorStore Book => Get<MirrorStore>();

    /// <param name="table">Null for a new table of its own.</param>
    /// <param name="server">Null for the one all tests share.</param>
    /// <param name="isStrict">Does it keep to Airtable's own limit of calls?</param>
    public static async Task<GoverningNode> JoinAsync(Store store, string? table = null, AirtableServer? server = null, bool isStrict = false)
    {
        server ??= await SharedAirtable.ServerAsync();
        var plain = new AirtableOptions(server.Token, server.BaseId, table ?? $"keys {Guid.NewGuid():N}", server.Url);
        var options = isStrict ? plain : plain with
        {
            CallsPerSecond = 10_000,
            Second = TimeSpan.FromMilliseconds(1),
            LockOut = TimeSpan.FromMilliseconds(200),
            ChangePatience = new AirtableTimeouts(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)),
            BackgroundPatience = new AirtableTimeouts(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)),
            SettlePatience = TimeSpan.FromMilliseconds(300),
            RetryDelay = TimeSpan.FromMilliseconds(5),
            BreakDuration = TimeSpan.FromMilliseconds(500),
        };
        var node = new GoverningNode(store, server, options);
        if (table is null)
            await TableSchema.CreateTableAsync(node.Get<AirtableClient>(), CancellationToken.None);
        return node;
    }

    /// <summary>Lets changes wait for an unresolved one for as long as a busy machine may need.</summary>
    public void WaitLong() => _store.Ledger = LedgerOf(Options with { SettlePatience = TimeSpan.FromMinutes(1) });

    public T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    public void Dispose() => _services.Dispose();

    private AirtableLedger LedgerOf(AirtableOptions options) => new(
        Get<SqlLedger>(), Get<IntentDispatcher>(), Get<MirrorStore>(), Lease, options, _store.Scope, TimeProvider.System, NullLogger<AirtableLedger>.Instance);
}
