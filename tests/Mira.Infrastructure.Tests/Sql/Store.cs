using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Tests.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Which database a test runs on. What holds for one must hold for the other.</summary>
public enum StoreKind
{
    Sqlite,
    Postgres,

    /// <summary>Airtable, with its ledger and mirror in SQLite.</summary>
    Airtable,
}

/// <summary>A store as a node has it, in a real database of its own, with a hand on every command.</summary>
internal sealed class Store : IDbContextFactory<MiraDbContext>, IDisposable
{
    private readonly StoreDatabase _database;
    private readonly ServiceProvider _services;
    private readonly SqlLedger _sqlLedger;

    private Store(StoreDatabase database)
    {
        _database = database;
        database.Configure(Watch, Saves);
        Sql = database.StoreOf(this, Clock);
        AggregatedEvents = new AggregatedEvents(Clock);
        Findings = new RowViolations(AggregatedEvents);
        Rows = new RowAuthenticator(HeldKey.Peppers, Findings);
        Keys = new SqlKeyStore(this, Rows, Findings);
        Reader = new SqlLedgerReader(this);
        Changes = new RecentChanges();
        Directory = new KeyCache(Keys, Changes, new KeyCacheOptions { CacheSize = 100 });
        Follower = new LedgerPoller(Reader, Changes, Directory, new LedgerPollerOptions(), Clock);
        Gate = new SingleWriter(Clock);
        Archive = new SqlLedgerArchive(this);
        Seal = SealOf(Follower);
        Ledger = _sqlLedger = new SqlLedger(this, Sql, Gate, Follower, Seal, Rows, Scope, NullLogger<SqlLedger>.Instance);
        Usage = new SqlUsageStore(this, Sql, Gate, Directory, Rows);
        Watch.Clock = Clock;
        _services = new ServiceCollection().AddSingleton(_ => Ledger).AddSingleton(_ => _sqlLedger).BuildServiceProvider();
    }

    /// <summary>Signs the ledgers of all tests.</summary>
    public static AuditKey AuditKey { get; } = AuditKey.Generate();

    public CommandWatch Watch { get; } = new();

    public SaveWatch Saves { get; } = new();

    public LoopClock Clock { get; } = new();

    public AuditScope Scope { get; } = new();

    public SqlStore Sql { get; }

    public SqlKeyStore Keys { get; }

    public SqlLedgerReader Reader { get; }

    public SqlLedgerArchive Archive { get; }

    public RecentChanges Changes { get; }

    public KeyCache Directory { get; }

    public LedgerPoller Follower { get; }

    public SingleWriter Gate { get; }

    public HeadSigner Seal { get; }

    public AggregatedEvents AggregatedEvents { get; }
    public RowViolations Findings { get; }
    public RowAuthenticator Rows { get; }

    public ILedger Ledger { get; set; }

    /// <summary>May other nodes write to it?</summary>
    public bool IsShared => _database is PostgresDatabase;

    /// <summary>Null unless keys are governed in Airtable.</summary>
    public GoverningNode? Airtable { get; private set; }

    public SqlUsageStore Usage { get; }

    /// <summary>What runs beside the calls takes the ledger from here.</summary>
    public IServiceScopeFactory Scopes => _services.GetRequiredService<IServiceScopeFactory>();

    /// <summary>The file of the embedded store.</summary>
    public DataFolder Folder => ((SqliteDatabase)_database).Folder;

    /// <summary>How the database of PostgreSQL is reached.</summary>
    public string Address => ((PostgresDatabase)_database).Address;

    /// <summary>How it is connected to.</summary>
    public PostgresOptions Postgres => ((PostgresDatabase)_database).Options;

    public static HeadSigner SealOf(LedgerPoller follower) => new(AuditKey, follower, NullLogger<HeadSigner>.Instance);

    public static async Task<Store> OpenAsync(StoreKind kind = StoreKind.Sqlite)
    {
        var store = new Store(kind == StoreKind.Postgres ? await PostgresDatabase.MakeAsync() : await SqliteDatabase.MakeAsync());
        await store.Follower.StartAsync(CancellationToken.None);
        if (kind == StoreKind.Airtable)
            await store.GovernAsync();
        return store;
    }

    /// <summary>From here on keys are governed in a table.</summary>
    /// <param name="table">Null for a new one.</param>
    /// <param name="server">Null for the one all tests share.</param>
    /// <param name="isStrict">Does it keep to Airtable's own limit of calls?</param>
    public async Task GovernAsync(string? table = null, AirtableServer? server = null, bool isStrict = false)
    {
        Airtable = await GoverningNode.JoinAsync(this, table, server, isStrict);
        Ledger = Airtable.Ledger;
    }

    /// <summary>A store nobody has opened yet.</summary>
    public static async Task<Store> ClosedAsync(StoreKind kind = StoreKind.Sqlite) =>
        new(kind == StoreKind.Sqlite ? new SqliteDatabase() : await PostgresDatabase.MakeEmptyAsync());

    /// <summary>In a database of PostgreSQL that is there already.</summary>
    public static Store Closed(string address) => new(new PostgresDatabase(address));

    /// <summary>What a node has that comes to this database by another way, for example through a proxy.</summary>
    public static async Task<Store> JoinAsync(string address)
    {
        var store = Closed(address);
        await store.Follower.StartAsync(CancellationToken.None);
        return store;
    }

    /// <summary>The same, by the way of a connection pooler, which it looks for first as a start does.</summary>
    public static async Task<Store> PoolAsync(string address)
    {
        var database = new PostgresDatabase(address);
        await database.Options.FindPoolerAsync(CancellationToken.None);
        return new Store(database);
    }

    public MiraDbContext CreateDbContext() => _database.CreateDbContext();

    /// <summary>Another process: a connection that knows nothing of this one.</summary>
    public DbConnection Connect()
    {
        var connection = _database.Connect();
        connection.Open();
        return connection;
    }

    /// <summary>Another process takes the ledger's lock, and keeps it until it goes.</summary>
    public async Task<IAsyncDisposable> LockAsync()
    {
        var connection = Connect();
        await connection.BeginTransactionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = _database.LockStatement;
        await command.ExecuteScalarAsync();
        return connection;
    }

    public Task AddAsync(params HeldKey[] keys) => AddAsync(keys.Select(held => held.Key).ToArray());

    public Task AddAsync(params ApiKey[] keys) => ChangeAsync(change =>
    {
        foreach (var key in keys)
            change.Add(key);
        return Task.CompletedTask;
    });

    public Task ChangeAsync(KeyId id, Action<ApiKey> verb) => ChangeAsync(async change => verb((await change.FindKeyAsync(id))!));

    public Task ChangeAsync(Func<ILedgerChange, Task> work) => Ledger.ChangeAsync(
        async change =>
        {
            await work(change);
            return true;
        },
        CancellationToken.None);

    public async Task<ApiKey?> ReadAsync(KeyId id) => (await Keys.ReadAsync(id, CancellationToken.None)).Key;

    public Task<LedgerPosition> HeadAsync() => Reader.GetHeadAsync(CancellationToken.None);

    public Task<IReadOnlyList<LedgerEvent>> EventsAsync() => Reader.ReadFromAsync(1, 10_000, CancellationToken.None);

    public async Task<string> DumpAsync()
    {
        await using var connection = Connect();
        var lines = new List<string>();
        foreach (var table in new[] { "keys", "secrets", "ledger", "ledger_head", "ledger_begin", "checkpoints", "answers" })
        {
            await using var command = connection.CreateCommand();
            command.CommandText = $"SELECT * FROM {table} ORDER BY 1, 2";
            await using var rows = await command.ExecuteReaderAsync();
            while (await rows.ReadAsync())
                lines.Add(table + ": " + string.Join('|', Enumerable.Range(0, rows.FieldCount).Select(i => rows.GetValue(i) is byte[] bytes ? Convert.ToHexString(bytes) : rows.GetValue(i))));
        }

        return string.Join('\n', lines);
    }

    /// <summary>Signs all rows of keys as they are, as a node does that renews a digest.</summary>
    public async Task SignAsync()
    {
        await using var database = CreateDbContext();
        foreach (var row in await database.Keys.WithProof(database).ToListAsync())
            Rows.Seal(database, database.Entry(row.Key), row.BoundSeq);
        await database.SaveChangesAsync();
    }

    public async Task<long> AskAsync(string sql)
    {
        await using var connection = Connect();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync() is long value ? value : 0;
    }

    public void Dispose()
    {
        Airtable?.Dispose();
        Follower.Dispose();
        Gate.Dispose();
        _services.Dispose();
        _database.Dispose();
    }
}
