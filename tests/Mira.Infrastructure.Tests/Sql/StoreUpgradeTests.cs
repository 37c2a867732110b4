using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.Logging.Abstractions;
using Mira.Domain.Keys;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>A store of the version before rows were signed and searches had an index, opened by this one.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class StoreUpgradeTests(StoreKind kind) : IDisposable
{
    private const string Last = "KeysInAirtable";

    // In the order in which they refer to each other.
    private static readonly string[] Tables = ["keys", "secrets", "ledger", "ledger_head", "ledger_begin", "checkpoints", "answers"];

    private HeldKey[] _held = null!;
    private Store _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        _held = [new HeldKey(name: "billing", owner: "The TEAM"), new HeldKey(name: "renamed"), new HeldKey(name: "ended")];
        using var now = await Store.OpenAsync(kind);
        await now.AddAsync(_held);
        await now.ChangeAsync(_held[2].Id, key => key.Revoke("system", null, 1, HeldKey.Start));

        _store = await Store.ClosedAsync(kind);
        await using (var database = _store.CreateDbContext())
        {
            await database.GetService<IMigrator>().MigrateAsync(
                database.Database.GetMigrations().Single(migration => migration.EndsWith(Last, StringComparison.Ordinal)));
        }

        foreach (var table in Tables)
            await CopyAsync(now, table);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task It_has_the_tables_and_indexes_of_a_new_store()
    {
        using var made = await Store.OpenAsync(kind);
        Assert.That(await NamesAsync(_store), Is.Not.EqualTo(await NamesAsync(made)), "it is older");

        await _store.Sql.OpenAsync(CancellationToken.None);

        Assert.That(await NamesAsync(_store), Is.EqualTo(await NamesAsync(made)));
        Assert.That(
            await NamesAsync(_store),
            Is.SupersetOf(kind == StoreKind.Postgres
                ? new[] { "IX_keys_name_trigram", "IX_keys_owner_trigram", "IX_ledger_key_changes" }
                : ["keys_search_insert", "keys_search_update", "keys_search_delete", "IX_ledger_key_changes"]));
        Assert.That(_store.Sql.Applied, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Its_keys_are_found_by_the_index_and_so_are_those_that_change_or_come()
    {
        await StartAsync();
        await _store.ChangeAsync(_held[1].Id, key => key.Update(new KeyUpdate { Name = "afterwards" }, 1, HeldKey.Start));
        await _store.AddAsync(new HeldKey(name: "newcomer"));

        foreach (var (text, count) in ((string, int)[])[("LING", 1), ("team", 1), ("renamed", 0), ("terwar", 1), ("ended", 1), ("newcom", 1)])
        {
            await using var database = _store.CreateDbContext();
            Assert.That(await new TextSearch(null).FindAsync(database, text, CancellationToken.None), Has.Length.EqualTo(count), text);
        }
    }

    [Test]
    public async Task Its_keys_are_what_they_were_and_are_signed_when_they_change()
    {
        await StartAsync();
        Assert.That(await UnsignedAsync(), Is.EqualTo(3));
        var read = await Task.WhenAll(_held.Select(held => _store.ReadAsync(held.Id)));
        Assert.That(read.Select(key => key?.Name), Is.EqualTo(new[] { "billing", "renamed", "ended" }));
        Assert.That(read[2]!.RevokedAt, Is.Not.Null);

        await _store.ChangeAsync(_held[1].Id, key => key.Update(new KeyUpdate { Name = "afterwards" }, 1, HeldKey.Start));
        Assert.That(await UnsignedAsync(), Is.EqualTo(2));
        Assert.That((await _store.ReadAsync(_held[1].Id))!.Name, Is.EqualTo("afterwards"));
        await _store.SignAsync();
        Assert.That(await UnsignedAsync(), Is.Zero);
        Assert.That((await _store.ReadAsync(_held[0].Id))!.Name, Is.EqualTo("billing"));
    }

    private async Task StartAsync()
    {
        await _store.Sql.OpenAsync(CancellationToken.None);
        await _store.Follower.StartAsync(CancellationToken.None);
        await new RowMacStartup(
            _store, _store.Rows, _store.Reader, _store.Archive, Store.AuditKey, _store.Follower, new RowOptions(), NullLogger<RowMacStartup>.Instance)
            .OpenAsync(CancellationToken.None);
    }

    private Task<long> UnsignedAsync() => _store.AskAsync("SELECT count(*) FROM keys WHERE mac IS NULL");

    private async Task<List<string>> NamesAsync(Store store)
    {
        var names = new List<string>();
        await using var connection = store.Connect();
        await using var command = connection.CreateCommand();
        command.CommandText = kind == StoreKind.Postgres
            ? "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' UNION ALL SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1"
            : "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_\\_EF%' ESCAPE '\\' UNION ALL SELECT 'keys.' || name FROM pragma_table_info('keys') ORDER BY 1";
        await using var rows = await command.ExecuteReaderAsync();
        while (await rows.ReadAsync())
            names.Add(rows.GetString(0));
        return names;
    }

    // What the older version had of it.
    private async Task CopyAsync(Store from, string table)
    {
        await using var source = from.Connect();
        await using var target = _store.Connect();
        var columns = await ColumnsAsync(target, table);
        if (table == "ledger_head")
            await RunAsync(target, "DELETE FROM ledger_head");

        await using var read = source.CreateCommand();
        read.CommandText = $"SELECT {string.Join(", ", columns)} FROM {table}";
        await using var rows = await read.ExecuteReaderAsync();
        while (await rows.ReadAsync())
        {
            await using var write = target.CreateCommand();
            write.CommandText = $"INSERT INTO {table} ({string.Join(", ", columns)}) VALUES ({string.Join(", ", columns.Select((_, i) => $"@p{i}"))})";
            for (var i = 0; i < columns.Count; i++)
            {
                var parameter = write.CreateParameter();
                (parameter.ParameterName, parameter.Value) = ($"@p{i}", rows.GetValue(i));
                write.Parameters.Add(parameter);
            }

            await write.ExecuteNonQueryAsync();
        }
    }

    private static async Task<List<string>> ColumnsAsync(DbConnection connection, string table)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = $"SELECT * FROM {table} WHERE 1 = 0";
        await using var rows = await command.ExecuteReaderAsync();
        return [.. Enumerable.Range(0, rows.FieldCount).Select(rows.GetName)];
    }

    private static async Task RunAsync(DbConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }
}
