using System.Data;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Infrastructure.Sql;
using Mira.TestServers;
using Npgsql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Behind a real PgBouncer with the settings it comes with.</summary>
[TestFixture("session")]
[TestFixture("transaction")]
[TestFixture("transaction", "ignore_startup_parameters = options")]
public sealed class PoolerTests(string mode, params string[] more) : IAsyncDisposable
{
    private const int Attempts = 3;

    private PgBouncer _pooler = null!;
    private Store _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        var server = await SharedPostgres.ServerAsync();
        var database = await server.CreateDatabaseAsync();
        _pooler = await PgBouncer.StartAsync(server, database, mode, more);
        _store = await Store.PoolAsync(server.ConnectionString(database, _pooler.Port));
        await _store.Sql.OpenAsync(CancellationToken.None);
        await _store.Follower.StartAsync(CancellationToken.None);
    }

    [TearDown]
    public async ValueTask DisposeAsync()
    {
        _store.Dispose();
        await _pooler.DisposeAsync();
    }

    [Test]
    public async Task Keys_are_made_changed_read_used_and_followed()
    {
        using var other = await Store.PoolAsync(_store.Address);
        await other.Sql.OpenAsync(CancellationToken.None);
        await other.Follower.StartAsync(CancellationToken.None);
        HeldKey[] held = [.. Enumerable.Range(0, 40).Select(_ => new HeldKey())];

        await BeginAsync(_store);
        await BeginAsync(other);
        var begun = (await _store.HeadAsync()).Seq;
        await Task.WhenAll(held.Select((key, i) => (i % 2 == 0 ? _store : other).AddAsync(key)));
        await Task.WhenAll(held.Select((key, i) => (i % 2 == 0 ? other : _store).ChangeAsync(
            key.Id, record => record.Update(new KeyUpdate { Name = "after" }, 1, HeldKey.Start))));
        var use = new SecretUse(held[0].Id, held[0].Key.Current);
        new UsageLog(HeldKey.Peppers).Record(use, held[0].Token, HeldKey.Start);
        await _store.Usage.WriteAsync([use], CancellationToken.None);

        var read = await Task.WhenAll(held.Select(key => other.ReadAsync(key.Id)));
        Assert.That(read.Select(key => key!.Name), Is.All.EqualTo("after"));
        Assert.That(read[0]!.LastUsedAt, Is.EqualTo(HeldKey.Start));
        await other.Follower.CatchUpAsync();
        Assert.That((other.Follower.Seen.Seq, other.Follower.IsBroken), Is.EqualTo((begun + 80, false)));
    }

    [Test]
    public void It_is_noticed_with_its_mode_and_the_pool_is_the_smaller_one()
    {
        Assert.That((_store.Postgres.HasPooler, _store.Postgres.KeepsSessions), Is.EqualTo((true, mode == "session")));
        Assert.That(new NpgsqlConnectionStringBuilder(_store.Postgres.Calls).MaxPoolSize, Is.EqualTo(8));
    }

    [Test]
    public async Task A_pool_size_that_is_given_wins()
    {
        using var store = await Store.PoolAsync(_store.Address + ";MaxPoolSize=100");
        Assert.That(new NpgsqlConnectionStringBuilder(store.Postgres.Calls).MaxPoolSize, Is.EqualTo(100));
    }

    [Test]
    public async Task The_limits_of_time_hold_in_each_change_and_leave_nothing_behind()
    {
        await BeginAsync(_store);
        var limits = new List<string>();
        await _store.ChangeAsync(async change =>
        {
            change.Add(new HeldKey().Key);
            limits.Add(await AskAsync(((SqlLedgerChange)change).Database));
        });

        Assert.That(limits, Is.EqualTo(new[] { "1500ms 1800ms 4s" }));
        await using var after = _store.CreateDbContext();
        Assert.That(await AskAsync(after), Is.EqualTo("0 0 0"));
    }

    // As a start does: the first change of a process is compiled while it runs, and that may take a busy machine longer
    // than a change may take.
    private static async Task BeginAsync(Store store)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await store.AddAsync(new HeldKey());
                return;
            }
            catch (LedgerUnavailableException) when (attempt < Attempts)
            {
                // It did not happen.
            }
        }
    }

    private static async Task<string> AskAsync(MiraDbContext database)
    {
        // In the transaction that is open on the connection, if there is one.
        await using var command = database.Database.GetDbConnection().CreateCommand();
        command.CommandText =
            "SELECT current_setting('lock_timeout') || ' ' || current_setting('statement_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')";
        if (command.Connection!.State != ConnectionState.Open)
            await command.Connection.OpenAsync();
        return (string)(await command.ExecuteScalarAsync())!;
    }
}
