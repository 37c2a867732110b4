using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;
using Mira.TestServers;
using Npgsql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>The database under a <see cref="Store"/>.</summary>
internal abstract class StoreDatabase : IDisposable
{
    /// <summary>What takes the ledger's lock in a transaction that has begun.</summary>
    public abstract string LockStatement { get; }

    public abstract void Configure(params IInterceptor[] interceptors);

    public abstract SqlStore StoreOf(IDbContextFactory<MiraDbContext> contexts, TimeProvider clock);

    public abstract MiraDbContext CreateDbContext();

    public abstract DbConnection Connect();

    public abstract void Dispose();
}

internal sealed class SqliteDatabase : StoreDatabase
{
    // Migrated once for all tests.
    private static readonly Lazy<Task<byte[]>> Template = new(async () =>
    {
        using var store = await Store.ClosedAsync();
        await store.Sql.OpenAsync(CancellationToken.None);
        await store.AskAsync("PRAGMA wal_checkpoint(TRUNCATE)");
        return await File.ReadAllBytesAsync(store.Folder.Database);
    });

    private readonly TestFolder _folder = new();
    private DbContextOptions<MiraDbContext>? _options;

    public SqliteDatabase() => Folder = DataFolder.At(_folder.Make("data"), _folder.Make("app"));

    public DataFolder Folder { get; }

    // To begin is enough.
    public override string LockStatement => "SELECT 1";

    public static async Task<StoreDatabase> MakeAsync()
    {
        var database = new SqliteDatabase();
        await File.WriteAllBytesAsync(database.Folder.Database, await Template.Value);
        return database;
    }

    public override void Configure(params IInterceptor[] interceptors)
    {
        var options = new DbContextOptionsBuilder<MiraDbContext>();
        SqliteStore.Configure(options, Folder);
        _options = options.AddInterceptors(interceptors).Options;
    }

    public override SqlStore StoreOf(IDbContextFactory<MiraDbContext> contexts, TimeProvider clock) => new SqliteStore(contexts, Folder, clock);

    public override MiraDbContext CreateDbContext() => new(_options!);

    public override DbConnection Connect() => new SqliteConnection($"Data Source={Folder.Database};Pooling=False");

    public override void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _folder.Dispose();
    }
}

/// <param name="address">A connection string.</param>
/// <param name="name">Of the database that goes with this; null for one that is another's.</param>
internal sealed class PostgresDatabase(string address, string? name = null) : StoreDatabase
{
    // Migrated once for all tests.
    private static readonly Lazy<Task<string>> Template = new(async () =>
    {
        var server = await SharedPostgres.ServerAsync();
        var template = await server.CreateDatabaseAsync();
        using var store = Store.Closed(server.ConnectionString(template));
        await store.Sql.OpenAsync(CancellationToken.None);
        return template;
    });

    private readonly PostgresOptions _postgres = PostgresOptions.Read(new(key => key == PostgresOptions.Setting ? address : null));
    private DbContextOptions<PostgresDbContext>? _options;

    public string Address { get; } = address;

    public PostgresOptions Options => _postgres;

    public override string LockStatement => "SELECT 1 FROM ledger_head FOR UPDATE";

    public static Task<StoreDatabase> MakeEmptyAsync() => MakeAsync("template0");

    public static async Task<StoreDatabase> MakeAsync() => await MakeAsync(await Template.Value);

    public override void Configure(params IInterceptor[] interceptors)
    {
        var options = new DbContextOptionsBuilder<PostgresDbContext>();
        PostgresStore.Configure(options, _postgres.Calls);
        _options = options.AddInterceptors(interceptors).Options;
    }

    // How long it waits is meant truly, whatever time the test has.
    public override SqlStore StoreOf(IDbContextFactory<MiraDbContext> contexts, TimeProvider clock) => new PostgresStore(contexts, _postgres, TimeProvider.System);

    public override MiraDbContext CreateDbContext() => new PostgresDbContext(_options!);

    public override DbConnection Connect() => new NpgsqlConnection(Address + ";Pooling=false");

    public override void Dispose()
    {
        using var pooled = new NpgsqlConnection(_postgres.Calls);
        NpgsqlConnection.ClearPool(pooled);
        if (name is not null)
            SharedPostgres.ServerAsync().Result.DropDatabaseAsync(name).Wait();
    }

    private static async Task<StoreDatabase> MakeAsync(string template)
    {
        var server = await SharedPostgres.ServerAsync();
        var name = await server.CreateDatabaseAsync(template);
        return new PostgresDatabase(server.ConnectionString(name), name);
    }
}
