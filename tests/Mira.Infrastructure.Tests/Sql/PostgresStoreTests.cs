using Microsoft.EntityFrameworkCore;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Infrastructure.Sql;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Sql;

public sealed class PostgresStoreTests : IDisposable
{
    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.ClosedAsync(StoreKind.Postgres);

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task Nodes_that_start_at_once_on_an_empty_database_make_one_ledger()
    {
        var nodes = Enumerable.Range(0, 6).Select(_ => Store.Closed(_store.Address)).ToList();
        await Task.WhenAll(nodes.Select(node => Task.Run(() => node.Sql.OpenAsync(CancellationToken.None))));
        nodes.ForEach(node => node.Dispose());

        Assert.That(await _store.AskAsync("SELECT count(*) FROM ledger_head"), Is.EqualTo(1));
        Assert.That((await _store.HeadAsync()).Seq, Is.Zero);
    }

    [Test]
    public async Task Opening_it_again_changes_nothing()
    {
        await OpenAsync();
        await _store.AddAsync(new HeldKey());
        var before = await _store.DumpAsync();

        await OpenAsync();

        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task The_model_is_what_the_migrations_make()
    {
        await using var database = _store.CreateDbContext();

        Assert.That(database.Database.HasPendingModelChanges(), Is.False);
    }

    [Test]
    public async Task Text_is_compared_by_its_bytes_whatever_the_database_was_made_with()
    {
        await OpenAsync();

        Assert.That(
            await _store.AskAsync(
                "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '__EFMigrationsHistory' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"),
            Is.Zero);
    }

    [TestCase("Port=1", "cannot be reached")]
    [TestCase("Host=name.invalid", "cannot be reached")]
    [TestCase("Database=nowhere", "no such database")]
    [TestCase("Username=nobody", "refuses the user")]
    public void A_database_that_cannot_be_used_stops_the_start_and_nothing_it_said_gets_out(string wrong, string problem)
    {
        using var node = Store.Closed($"{_store.Address};Password=hunter2-canary;{wrong}");

        Assert.That(
            () => node.Sql.OpenAsync(CancellationToken.None),
            Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_POSTGRES: ").And.Message.Contains(problem).And.Message.Not.Contains("canary"));
    }

    [Test]
    public async Task A_server_that_does_not_answer_stops_the_start_in_time()
    {
        using var proxy = TcpProxy.Start((await SharedPostgres.ServerAsync()).Port);
        proxy.Hold();
        using var node = Store.Closed($"{_store.Address};Port={proxy.Port}");
        var started = TimeProvider.System.GetTimestamp();

        Assert.That(() => node.Sql.OpenAsync(CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.Contains("cannot be reached"));

        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(TimeSpan.FromSeconds(4)));
    }

    [Test]
    public void Secrets_are_not_counted_where_there_is_no_store() => Assert.That(
        () => _store.Sql.CountLiveSecretsAsync(HeldKey.Start, CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.Contains("no store"));

    [TestCase(null)]
    [TestCase("")]
    [TestCase("nonsense")]
    [TestCase("Host=db")]
    [TestCase("Host=db;Database=mira;Port=many")]
    [TestCase("Host=db;Database=mira;Sesame=open")]
    public void What_is_no_connection_string_is_refused(string? text) => Assert.That(
        () => PostgresOptions.Read(new SettingReader(_ => text)), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_POSTGRES: "));

    [Test]
    public async Task A_change_is_dated_by_the_databases_clock_to_the_millisecond()
    {
        await OpenAsync();
        _store.Watch.Clock = null;
        var (before, after) = (await AskClockAsync(), default(DateTimeOffset));
        var now = default(DateTimeOffset);
        await _store.ChangeAsync(change =>
        {
            now = change.Now;
            change.Add(new HeldKey().Key);
            return Task.CompletedTask;
        });
        after = await AskClockAsync();

        Assert.That(now, Is.InRange(before.AddMilliseconds(-1), after), "not the node's own, which stands still in 2026");
        Assert.That(now.Ticks % TimeSpan.TicksPerMillisecond, Is.Zero);
        Assert.That((await _store.EventsAsync())[0].At, Is.EqualTo(now));
    }

    [Test]
    public async Task The_clock_is_read_when_the_lock_is_held()
    {
        await OpenAsync();
        _store.Watch.Clock = null;
        var statements = new List<string>();
        _store.Watch.Fails = sql =>
        {
            statements.Add(sql);
            return false;
        };

        await _store.AddAsync(new HeldKey());

        Assert.That(statements[0], Does.Contain("FOR UPDATE"));
        Assert.That(statements[1], Does.Contain("clock_timestamp()"));
        Assert.That(statements[^1], Does.Contain("pg_notify"));
    }

    [Test]
    public async Task Usage_is_written_while_another_node_holds_the_ledgers_lock()
    {
        await OpenAsync();
        var held = new HeldKey();
        await _store.AddAsync(held);
        await using var other = await _store.LockAsync();

        await FlushAsync(_store, held);

        Assert.That((await _store.ReadAsync(held.Id))!.LastUsedAt, Is.EqualTo(HeldKey.Start.AddMinutes(1)));
    }

    [Test]
    public async Task Nodes_that_flush_the_same_keys_in_any_order_while_these_change_never_wait_for_each_other()
    {
        await OpenAsync();
        var keys = Enumerable.Range(0, 40).Select(_ => new HeldKey()).ToArray();
        await _store.AddAsync(keys);
        using var other = Store.Closed(_store.Address);
        await other.Follower.StartAsync(CancellationToken.None);

        for (var round = 0; round < 5; round++)
        {
            await Task.WhenAll(
                FlushAsync(_store, keys),
                FlushAsync(other, [.. keys.Reverse()]),
                Task.Run(async () =>
                {
                    foreach (var held in keys)
                        await _store.ChangeAsync(held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.Zero), HeldKey.Start));
                }));
        }

        Assert.That((await SharedPostgres.ServerAsync()).Log, Does.Not.Contain("deadlock"));
    }

    private Task OpenAsync() => _store.Sql.OpenAsync(CancellationToken.None);

    private static async Task FlushAsync(Store store, params HeldKey[] keys)
    {
        var usage = new UsageLog(HeldKey.Peppers);
        foreach (var held in keys)
            usage.Record(new SecretUse(held.Id, held.Key.Secrets[0]), held.Token, HeldKey.Start.AddMinutes(1));
        await store.Usage.WriteAsync(usage.Take(1_000), CancellationToken.None);
    }

    private async Task<DateTimeOffset> AskClockAsync()
    {
        await using var connection = _store.Connect();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT clock_timestamp()";
        return new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync())!);
    }
}
