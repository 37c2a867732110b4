using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Infrastructure.Sql;
using Mira.TestServers;
using Npgsql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>What a standby says is never taken for the ledger, and a pool that leads to one is left at once.</summary>
public sealed class ReadOnlyServerTests : IDisposable
{
    private PostgresServer _primary = null!;
    private PostgresServer _standby = null!;
    private string _database = null!;
    private Store _writer = null!;
    private HeldKey _held = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _primary = await PostgresServer.StartNewAsync();
        _standby = await _primary.StartStandbyAsync();
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _standby.DisposeAsync();
        await _primary.DisposeAsync();
    }

    [SetUp]
    public async Task SetUp()
    {
        _database = await _primary.CreateDatabaseAsync();
        _writer = Store.Closed(_primary.ConnectionString(_database));
        await _writer.Sql.OpenAsync(CancellationToken.None);
        await _writer.Follower.StartAsync(CancellationToken.None);
        _held = new HeldKey();
        await _writer.AddAsync(_held);
        await CopiedAsync();
    }

    [TearDown]
    public void Dispose() => _writer.Dispose();

    [Test]
    public async Task Behind_a_proxy_that_leads_to_a_standby_nothing_is_seen_and_all_works_once_it_leads_back()
    {
        using var proxy = TcpProxy.Start(_primary.Port);
        using var node = await Store.JoinAsync(_primary.ConnectionString(_database, proxy.Port));
        await _standby.ExecuteAsync("SELECT pg_wal_replay_pause()");
        try
        {
            await _writer.ChangeAsync(_held.Id, key => key.Revoke("system", null, 1, HeldKey.Start));
            (proxy.Target, var seen) = (_standby.Port, node.Follower.LastSeenAt);
            proxy.Cut();
            node.Clock.Advance(TimeSpan.FromSeconds(5));

            Assert.That(() => node.ReadAsync(_held.Id), Throws.TypeOf<StoreUnavailableException>(), "a cold key");
            Assert.That(() => node.Follower.CatchUpAsync(), Throws.TypeOf<StoreUnavailableException>());
            Assert.That(() => node.HeadAsync(), Throws.TypeOf<StoreUnavailableException>());
            Assert.That(() => node.EventsAsync(), Throws.TypeOf<StoreUnavailableException>());
            Assert.That(() => node.AddAsync(new HeldKey()), Throws.TypeOf<LedgerUnavailableException>());
            Assert.That((node.Follower.LastSeenAt, node.Follower.IsBroken), Is.EqualTo((seen, false)));

            // What is open in the pool would stay with the standby.
            proxy.Target = _primary.Port;
            Assert.That((await node.ReadAsync(_held.Id))!.RevokedAt, Is.Not.Null);
            await node.AddAsync(new HeldKey());
            Assert.That(node.Follower.IsBroken, Is.False);
        }
        finally
        {
            await _standby.ExecuteAsync("SELECT pg_wal_replay_resume()");
        }
    }

    [Test]
    public async Task Of_several_hosts_the_primary_is_used_whichever_comes_first_and_without_it_none()
    {
        using var proxy = TcpProxy.Start(_primary.Port);
        using var node = await Store.JoinAsync($"{_primary.ConnectionString(_database)};Host=127.0.0.1:{_standby.Port},127.0.0.1:{proxy.Port}");
        await node.AddAsync(new HeldKey());
        Assert.That(await node.ReadAsync(_held.Id), Is.Not.Null);

        // Many at once fill the pool of the one, and do not go on to the other.
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => node.ReadAsync(_held.Id)));

        proxy.Refuses = true;
        proxy.Cut();
        Assert.That(() => node.ReadAsync(_held.Id), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(() => node.Follower.CatchUpAsync(), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(node.Follower.IsBroken, Is.False);

        proxy.Refuses = false;
        await UntilAsync(async () => await node.ReadAsync(_held.Id) is not null);
    }

    [Test]
    public async Task While_the_synchronous_standby_is_away_a_change_is_said_to_be_unknown()
    {
        LedgerUnavailableException? refused = null;
        await CommitWithAsync("'nobody'");
        try
        {
            // The server takes the setting in beside its answers.
            await UntilAsync(async () =>
            {
                try
                {
                    await _writer.AddAsync(new HeldKey());
                }
                catch (LedgerUnavailableException exception)
                {
                    refused = exception;
                }

                return refused is not null;
            });
        }
        finally
        {
            await CommitWithAsync("''");
        }

        Assert.That(refused!.IsUndecided);
        await UntilAsync(async () =>
        {
            try
            {
                await _writer.AddAsync(new HeldKey());
                return true;
            }
            catch (LedgerUnavailableException)
            {
                return false;
            }
        });
    }

    [Test]
    public void A_start_on_a_standby_is_refused_in_one_line()
    {
        using var node = Store.Closed(_standby.ConnectionString(_database));
        Assert.That(
            () => node.Sql.OpenAsync(CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_POSTGRES: ").And.Message.Contains("standby"));
    }

    [Test]
    public async Task A_database_that_may_only_be_read_is_opened_when_its_tables_need_no_change()
    {
        await _primary.ExecuteAsync($"ALTER DATABASE {_database} SET default_transaction_read_only = on");
        // With a pool of its own, of sessions that began after that.
        using var node = Store.Closed(_primary.ConnectionString(_database) + ";Application Name=reader");
        await node.Sql.OpenAsync(CancellationToken.None);
        await node.Follower.StartAsync(CancellationToken.None);

        Assert.That(await node.ReadAsync(_held.Id), Is.Not.Null);
        Assert.That(() => node.AddAsync(new HeldKey()), Throws.TypeOf<LedgerUnavailableException>());
    }

    [Test]
    public async Task An_empty_database_that_may_only_be_read_stops_the_start()
    {
        var empty = await _primary.CreateDatabaseAsync();
        await _primary.ExecuteAsync($"ALTER DATABASE {empty} SET default_transaction_read_only = on");
        using var node = Store.Closed(_primary.ConnectionString(empty));
        Assert.That(() => node.Sql.OpenAsync(CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.Contains("read only"));
    }

    [TestCase("LATIN1")]
    [TestCase("SQL_ASCII")]
    public async Task A_database_that_is_not_UTF_8_stops_the_start(string encoding)
    {
        var name = $"not_utf8_{encoding.ToLowerInvariant()}";
        await _primary.ExecuteAsync($"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        using var node = Store.Closed(_primary.ConnectionString(name));
        Assert.That(
            () => node.Sql.OpenAsync(CancellationToken.None), Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_POSTGRES: ").And.Message.Contains("UTF8"));
    }

    [TestCase("any")]
    [TestCase("standby")]
    [TestCase("prefer-standby")]
    [TestCase("prefer-primary")]
    [TestCase("read-only")]
    public void A_connection_string_that_allows_standbys_is_refused(string attributes)
    {
        foreach (var host in (string[])["one", "one,other"])
        {
            Assert.That(
                () => Read($"Host={host};Database=mira;Target Session Attributes={attributes}"),
                Throws.TypeOf<SettingException>().With.Message.StartsWith("MIRA_POSTGRES: ").And.Message.Contains("standbys"));
        }
    }

    [Test]
    public void With_several_hosts_the_primary_is_asked_for()
    {
        foreach (var given in (string[])["Host=one,other;Database=mira", "Host=one,other;Database=mira;Target Session Attributes=primary"])
        {
            var options = Read(given);
            foreach (var text in (string[])[options.Calls, options.Reading, options.Migrations, options.Listening])
                Assert.That(text, Does.Contain("Target Session Attributes=primary").IgnoreCase.And.Contain("Host Recheck Seconds=1"));
        }

        Assert.That(Read("Host=one,other;Database=mira;Target Session Attributes=read-write").Calls, Does.Contain("=read-write"));
        Assert.That(Read("Host=one;Database=mira;Target Session Attributes=primary").Calls, Does.Not.Contain("Target"));
    }

    private async Task CommitWithAsync(string standby)
    {
        await _primary.ExecuteAsync($"ALTER SYSTEM SET synchronous_standby_names = {standby}");
        await _primary.ExecuteAsync("SELECT pg_reload_conf()");
    }

    private static PostgresOptions Read(string text) => PostgresOptions.Read(new SettingReader(_ => text));

    // The standby has the database, and the key in it.
    private Task CopiedAsync() => UntilAsync(async () =>
    {
        await using var connection = new NpgsqlConnection(_standby.ConnectionString(_database) + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT count(*) FROM keys", connection);
        return await command.ExecuteScalarAsync() is 1L;
    });

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            try
            {
                if (await holds())
                    return;
            }
            catch (Exception exception) when (exception is NpgsqlException or StoreUnavailableException)
            {
                // Not yet.
            }

            await pace.WaitForNextTickAsync(patience.Token);
        }
    }
}
