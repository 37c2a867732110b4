using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Tests.Sql;
using Mira.TestServers;
using StackExchange.Redis;
using Role = Mira.Domain.Keys.Role;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>Several nodes on one store and one Redis that somebody else can write to as well.</summary>
public sealed class RedisKeyCacheTests
{
    private const string Data = "data";

    private RedisServer _server = null!;
    private RedisNode _intruder = null!;
    private IDatabase _redis = null!;
    private Store _store = null!;
    private CachingNode _node = null!;
    private HeldKey _held = null!;

    [OneTimeSetUp]
    public async Task StartServer()
    {
        _server = await RedisServer.StartAsync();
        _intruder = await RedisNode.ConnectAsync(_server);
        _redis = _intruder.Connection.Multiplexer.GetDatabase();
    }

    [OneTimeTearDown]
    public async Task StopServer()
    {
        await _intruder.DisposeAsync();
        await _server.DisposeAsync();
    }

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        _held = new HeldKey();
        await _store.AddAsync(_held);
        _node = await CachingNode.StartAsync(_store, _server.Port);
    }

    [TearDown]
    public async Task TearDown()
    {
        await _node.DisposeAsync();
        _store.Dispose();
    }

    [Test]
    public async Task What_one_node_read_another_one_finds_without_the_store()
    {
        await ShareAsync(_node, _held.Id);
        await using var other = await CachingNode.StartAsync(_store, _server.Port);
        var commands = _store.Watch.Count;
        var key = await other.FindAsync(_held.Id);

        Assert.That(_store.Watch.Count, Is.EqualTo(commands));
        Assert.That(key.Verify(_held.Token, HeldKey.Peppers, null, HeldKey.Start).IsValid);
        Assert.That(other.Directory.Shared, Is.EqualTo(new SharedCacheMetrics(true, true, 1, 0)));
        Assert.That(other.Directory.HitRate, Is.EqualTo(1));
    }

    [Test]
    public async Task Entries_offered_while_the_queue_is_full_are_left_out_and_later_ones_are_written()
    {
        const int length = 3;
        var entry = await _node.Directory.FindAsync(_held.Id);
        using var cache = RedisRegistration.CacheOf(_intruder.Connection, new AuthenticatedEntry(HeldKey.Peppers), TimeProvider.System, queueLength: length);
        for (var epoch = 0; epoch < 10; epoch++)
            cache.Offer(entry, $"full-{epoch}");

        await cache.StartAsync(CancellationToken.None);
        await RedisNode.WaitForAsync(() => Exists($"full-{length - 1}"));
        cache.Offer(entry, "later");
        await RedisNode.WaitForAsync(() => Exists("later"));
        await cache.StopAsync(CancellationToken.None);
        Assert.That(Enumerable.Range(0, 10).Where(epoch => Exists($"full-{epoch}")), Is.EqualTo(Enumerable.Range(0, length)));

        bool Exists(string epoch) => _redis.KeyExists($"mira:key:3:{epoch}:{_held.Id}");
    }

    [Test]
    public async Task An_entry_ends_within_the_hour()
    {
        await ShareAsync(_node, _held.Id);

        Assert.That(await _redis.KeyTimeToLiveAsync(NameOf(_held.Id)), Is.GreaterThan(TimeSpan.FromMinutes(50)).And.LessThanOrEqualTo(TimeSpan.FromHours(1)));
    }

    [Test]
    public async Task A_write_that_was_held_back_does_not_revive_a_revoked_key()
    {
        using var proxy = TcpProxy.Start(_server.Port);
        await using var slow = await CachingNode.StartAsync(_store, proxy.Port, isPatient: false);
        // Between its look at Redis and its write there.
        _store.Watch.Fails = _ =>
        {
            proxy.Hold(Flow.ToServer);
            return false;
        };
        await slow.FindAsync(_held.Id);
        _store.Watch.Fails = null;
        await RedisNode.WaitForAsync(() => slow.Connection.Trips > 0);
        Assert.That(await _redis.KeyExistsAsync(NameOf(_held.Id)), Is.False, "the write was not held");

        await _store.ChangeAsync(_held.Id, key => key.Revoke(Actor.SystemName, null, 1, HeldKey.Start));
        proxy.Release();
        await RedisNode.WaitForAsync(() => _redis.KeyExists(NameOf(_held.Id)));

        await _node.Follower.CatchUpAsync();
        Assert.That((await _node.FindAsync(_held.Id)).RevokedAt, Is.Not.Null, "on a node that saw it");
        await using var fresh = await CachingNode.StartAsync(_store, _server.Port);
        Assert.That((await fresh.FindAsync(_held.Id)).RevokedAt, Is.Not.Null, "on a fresh node");
        Assert.That(_node.AggregatedEvents.Take().Concat(fresh.AggregatedEvents.Take()), Is.Empty, "late is not forged");
    }

    [Test]
    public async Task An_old_entry_that_is_put_back_does_not_revive_a_revoked_key()
    {
        await ShareAsync(_node, _held.Id);
        var old = await _redis.HashGetAsync(NameOf(_held.Id), Data);
        await _store.ChangeAsync(_held.Id, key => key.Revoke(Actor.SystemName, null, 1, HeldKey.Start));
        await _node.Follower.CatchUpAsync();
        await _node.FindAsync(_held.Id);
        await _redis.HashSetAsync(NameOf(_held.Id), Data, old);

        Assert.That((await _node.FindColdAsync(_held.Id)).RevokedAt, Is.Not.Null);
        await using var fresh = await CachingNode.StartAsync(_store, _server.Port);
        Assert.That((await fresh.FindAsync(_held.Id)).RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task An_entry_of_a_future_that_a_restore_took_back_does_not_revive_a_revoked_key()
    {
        var other = new HeldKey();
        await _store.AddAsync(other);
        // A backup, and what came after it. Nobody runs who could notice that it is put back, and no anchor tells.
        await _store.AskAsync("CREATE TABLE backup_head AS SELECT * FROM ledger_head");
        await _store.AskAsync($"CREATE TABLE backup_keys AS SELECT * FROM keys WHERE id = '{other.Id}'");
        await _store.AskAsync($"CREATE TABLE backup_secrets AS SELECT * FROM secrets WHERE key_id = '{other.Id}'");
        await _store.ChangeAsync(other.Id, key => key.Update(new KeyUpdate { Name = "lost" }, 1, HeldKey.Start));
        await _node.Follower.CatchUpAsync();
        await ShareAsync(_node, _held.Id);
        await _store.AskAsync("DELETE FROM ledger WHERE seq > 2");
        await _store.AskAsync("DELETE FROM ledger_head");
        await _store.AskAsync("INSERT INTO ledger_head SELECT * FROM backup_head");
        await _store.AskAsync($"DELETE FROM keys WHERE id = '{other.Id}'");
        await _store.AskAsync("INSERT INTO keys SELECT * FROM backup_keys");
        await _store.AskAsync("INSERT INTO secrets SELECT * FROM backup_secrets");

        await _store.ChangeAsync(_held.Id, key => key.Revoke(Actor.SystemName, null, 1, HeldKey.Start));
        await _store.ChangeAsync(other.Id, key => key.Update(new KeyUpdate { Name = "again" }, 1, HeldKey.Start));
        await using var fresh = await CachingNode.StartAsync(_store, _server.Port);

        Assert.That(fresh.Changes.Epoch, Is.EqualTo(_node.Changes.Epoch), "it is asked for under the same name");
        Assert.That((await fresh.FindAsync(_held.Id)).RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task A_flipped_byte_is_refused_told_of_and_replaced()
    {
        await ShareAsync(_node, _held.Id);
        var good = (byte[])(await _redis.HashGetAsync(NameOf(_held.Id), Data))!;
        var bad = good.ToArray();
        bad[^10] ^= 1;
        await _redis.HashSetAsync(NameOf(_held.Id), Data, bad);

        var key = await _node.FindColdAsync(_held.Id);

        Assert.That(key.Verify(_held.Token, HeldKey.Peppers, null, HeldKey.Start).IsValid);
        ExpectForged(_held.Id);
        await RedisNode.WaitForAsync(() => ((byte[])_redis.HashGet(NameOf(_held.Id), Data)!).SequenceEqual(good));
    }

    [Test]
    public async Task Another_keys_entry_is_refused_and_told_of()
    {
        var other = new HeldKey(Role.Admin);
        await _store.AddAsync(other);
        await _node.Follower.CatchUpAsync();
        await ShareAsync(_node, other.Id);
        await _redis.HashSetAsync(NameOf(_held.Id), Data, await _redis.HashGetAsync(NameOf(other.Id), Data));

        Assert.That((await _node.FindAsync(_held.Id)).Role, Is.EqualTo(Role.Operator));
        ExpectForged(_held.Id);
    }

    [Test]
    public async Task An_entry_of_another_epoch_is_refused_and_told_of()
    {
        await ShareAsync(_node, _held.Id);
        var entry = await _redis.HashGetAsync(NameOf(_held.Id), Data);
        _node.Changes.Restart(0, "another");
        _node.Directory.Clear();
        await _redis.HashSetAsync(NameOf(_held.Id), Data, entry);

        await _node.FindAsync(_held.Id);
        ExpectForged(_held.Id);
    }

    [Test]
    public async Task What_is_no_entry_at_all_costs_a_read_of_the_store()
    {
        await _redis.StringSetAsync(NameOf(_held.Id), "nonsense");

        Assert.That(await _node.FindAsync(_held.Id), Is.Not.Null);
        Assert.That(_node.Connection.Trips, Is.Zero, "one damaged name keeps nobody from the others");
    }

    [Test]
    public async Task A_renewed_digest_is_not_undone_by_an_entry_from_before_it()
    {
        await ShareAsync(_node, _held.Id);
        var old = await _redis.HashGetAsync(NameOf(_held.Id), Data);
        var peppers = new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1));
        await using var next = await CachingNode.StartAsync(_store, _server.Port, peppers);

        var entry = await next.Directory.FindAsync(_held.Id);
        Assert.That((await _redis.HashGetAsync(NameOf(_held.Id), Data)).Equals(old), "nothing is given that is yet to be renewed");
        var usage = new UsageLog(peppers);
        usage.Record(entry.UseOf(entry.Key!.Current), _held.Token, HeldKey.Start);
        await _store.Usage.WriteAsync(usage.Take(1), CancellationToken.None);

        Assert.That((await next.FindColdAsync(_held.Id)).Current.PepperId, Is.EqualTo(peppers.Current.Id));
        await RedisNode.WaitForAsync(() => !_redis.HashGet(NameOf(_held.Id), Data).Equals(old));
        // The retired one may be taken off the list now.
        await using var last = await CachingNode.StartAsync(_store, _server.Port, new PepperRing(HeldKey.PepperOf(2)));
        Assert.That((await last.FindAsync(_held.Id)).Current.PepperId, Is.EqualTo(peppers.Current.Id));
        Assert.That(last.Directory.Shared.Hits, Is.EqualTo(1));
        Assert.That(last.AggregatedEvents.Take().Concat(next.AggregatedEvents.Take()), Is.Empty);
    }

    [Test]
    public async Task Ids_that_do_not_exist_leave_nothing_in_Redis()
    {
        var id = KeyId.Generate();
        await _node.Directory.FindAsync(id);
        await ShareAsync(_node, _held.Id);

        Assert.That(await _redis.KeyExistsAsync(NameOf(id)), Is.False);
    }

    private void ExpectForged(KeyId subject)
    {
        var told = _node.AggregatedEvents.Take().Single();
        Assert.That((told.Group.Type, told.Group.Subject, told.Count), Is.EqualTo((EventType.IntegrityViolation, subject.Value, 1L)));
    }

    private async Task ShareAsync(CachingNode node, KeyId id)
    {
        await node.FindAsync(id);
        await RedisNode.WaitForAsync(() => _redis.KeyExists(NameOf(id)) && _redis.KeyTimeToLive(NameOf(id)) is not null);
    }

    private string NameOf(KeyId id) => $"mira:key:3:{_node.Changes.Epoch}:{id}";
}
