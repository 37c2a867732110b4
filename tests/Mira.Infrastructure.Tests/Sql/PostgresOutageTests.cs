using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>
/// PostgreSQL restarts, dies, freezes or cannot be reached: calls end in time, and all comes back by itself.
/// </summary>
public sealed class PostgresOutageTests : IDisposable
{
    // A busy machine may take longer than two and a half seconds to say so.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(4);

    private PostgresServer _server = null!;
    private Store _store = null!;
    private HeldKey _held = null!;

    [OneTimeSetUp]
    public async Task StartAsync() => _server = await PostgresServer.StartNewAsync();

    [OneTimeTearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [SetUp]
    public async Task SetUp()
    {
        var database = await _server.CreateDatabaseAsync();
        _store = Store.Closed(_server.ConnectionString(database));
        await _store.Sql.OpenAsync(CancellationToken.None);
        await _store.Follower.StartAsync(CancellationToken.None);
        _held = new HeldKey();
        await _store.AddAsync(_held);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [TestCase(false)]
    [TestCase(true)]
    public async Task After_a_restart_the_next_read_and_the_next_change_work(bool crash)
    {
        await WarmPoolAsync();
        await RestartAsync(crash);
        await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = "after" }, 1, HeldKey.Start));
        Assert.That(_store.Gate.IsWritable);

        await WarmPoolAsync();
        await RestartAsync(crash);
        Assert.That((await _store.ReadAsync(_held.Id))!.Name, Is.EqualTo("after"));
        await _store.Follower.CatchUpAsync();
        Assert.That(_store.Follower.IsBroken, Is.False, "what was committed is there");
    }

    [Test]
    public async Task While_it_is_frozen_reads_and_changes_end_in_time_and_all_who_wait_for_the_lock_at_once()
    {
        await WarmPoolAsync();
        await _server.PauseAsync();
        try
        {
            await ExpectSoonAsync<StoreUnavailableException>(() => _store.ReadAsync(_held.Id));
            await ExpectSoonAsync<StoreUnavailableException>(() => _store.Follower.CatchUpAsync());
            await ExpectSoonAsync<LedgerUnavailableException>(() => Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _store.AddAsync(new HeldKey()))));
            Assert.That(_store.Gate.IsWritable, Is.False);
        }
        finally
        {
            await _server.ResumeAsync();
        }

        await _store.AddAsync(new HeldKey());
        Assert.That(_store.Gate.IsWritable);
        Assert.That(await _store.ReadAsync(_held.Id), Is.Not.Null);
    }

    [Test]
    public async Task While_the_way_to_it_swallows_everything_calls_end_in_time()
    {
        using var proxy = TcpProxy.Start(_server.Port);
        using var node = await Store.JoinAsync($"{_store.Address};Port={proxy.Port}");
        proxy.Hold();

        await ExpectSoonAsync<StoreUnavailableException>(() => node.ReadAsync(_held.Id));
        await ExpectSoonAsync<LedgerUnavailableException>(() => node.AddAsync(new HeldKey()));

        proxy.Release();
        await node.AddAsync(new HeldKey());
    }

    [Test]
    public async Task While_it_is_down_calls_end_at_once()
    {
        await WarmPoolAsync();
        await _server.StopAsync();
        try
        {
            await ExpectSoonAsync<StoreUnavailableException>(() => _store.ReadAsync(_held.Id));
            await ExpectSoonAsync<LedgerUnavailableException>(() => _store.AddAsync(new HeldKey()));
        }
        finally
        {
            await _server.StartAsync();
        }

        await _store.AddAsync(new HeldKey());
    }

    [Test]
    public async Task A_node_that_froze_with_the_lock_in_its_hand_loses_it()
    {
        using var proxy = TcpProxy.Start(_server.Port);
        using var frozen = await Store.JoinAsync($"{_store.Address};Port={proxy.Port}");
        var go = new TaskCompletionSource();
        var locked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var stuck = frozen.ChangeAsync(async change =>
        {
            change.Add(new HeldKey().Key);
            locked.SetResult();
            await go.Task;
        });
        await locked.Task;

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var refusals = 0;
        while (true)
        {
            patience.Token.ThrowIfCancellationRequested();
            try
            {
                await _store.AddAsync(new HeldKey());
                break;
            }
            catch (LedgerUnavailableException)
            {
                refusals++;
            }
        }

        Assert.That(refusals, Is.Positive);
        go.SetResult();
        Assert.That(async () => await stuck, Throws.TypeOf<LedgerUnavailableException>(), "and has changed nothing");
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(2));
    }

    private async Task RestartAsync(bool crash)
    {
        await (crash ? _server.KillAsync() : _server.StopAsync());
        await _server.StartAsync();
    }

    // Several connections, all of them dead after a restart.
    private async Task WarmPoolAsync() => await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _store.ReadAsync(_held.Id)));

    private static async Task ExpectSoonAsync<T>(Func<Task> call)
        where T : Exception
    {
        var started = TimeProvider.System.GetTimestamp();
        Assert.That(async () => await call(), Throws.TypeOf<T>());
        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(Soon));
    }
}
