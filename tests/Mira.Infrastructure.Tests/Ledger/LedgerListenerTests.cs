using Microsoft.Extensions.Logging;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Ledger;

/// <summary>
/// Two nodes on one database; the clock of the one that listens stands still, so that nothing is found by polling.
/// </summary>
public sealed class LedgerListenerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private Store _other = null!;
    private TcpProxy _proxy = null!;
    private Store _node = null!;
    private Messages<LedgerListener> _log = null!;
    private LedgerListener _listener = null!;

    [SetUp]
    public async Task SetUp()
    {
        _other = await Store.OpenAsync(StoreKind.Postgres);
        _proxy = TcpProxy.Start((await SharedPostgres.ServerAsync()).Port);
        var address = $"{_other.Address};Port={_proxy.Port}";
        _node = await Store.JoinAsync(address);
        _log = new Messages<LedgerListener>();
        var options = PostgresOptions.Read(new(name => name == PostgresOptions.Setting ? address : null));
        _listener = new LedgerListener(options, _node.Follower, _node.Clock, _log);
        await _listener.StartAsync(CancellationToken.None);
    }

    [TearDown]
    public async Task StopAsync()
    {
        await _listener.StopAsync(CancellationToken.None);
        Dispose();
    }

    public void Dispose()
    {
        _listener.Dispose();
        _node.Dispose();
        _proxy.Dispose();
        _other.Dispose();
    }

    [Test]
    public async Task What_another_node_commits_is_known_without_polling()
    {
        var held = new HeldKey();
        await _other.AddAsync(held);
        await SeeAsync(await _other.HeadAsync());
        await _node.Directory.FindAsync(held.Id);

        await _other.ChangeAsync(held.Id, key => key.Revoke("me", null, 1, HeldKey.Start));

        await SeeAsync(await _other.HeadAsync());
        Assert.That((await _node.Directory.FindAsync(held.Id)).Key!.RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task A_listener_that_was_cut_off_listens_again_and_catches_up()
    {
        await _other.AddAsync(new HeldKey());
        await SeeAsync(await _other.HeadAsync());

        _proxy.Refuses = true;
        _proxy.Cut();
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Warning));
        await _other.AddAsync(new HeldKey());
        _proxy.Refuses = false;
        _node.Clock.Advance(TimeSpan.FromSeconds(1));

        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Information));
        await SeeAsync(await _other.HeadAsync());
    }

    private async Task SeeAsync(LedgerPosition position)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (_node.Follower.Seen != position)
            await pace.WaitForNextTickAsync(patience.Token);
    }
}
