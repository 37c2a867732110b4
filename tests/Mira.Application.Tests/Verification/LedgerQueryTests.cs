using Mira.Application.Ledger;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Verification;

/// <summary>How the queries of the ledger are shared, and what becomes of who waits for one.</summary>
public sealed class LedgerQueryTests : IDisposable
{
    private FakeLedgerReader _ledger = null!;
    private TwoClocks _clock = null!;
    private LedgerPoller _follower = null!;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedgerReader();
        _clock = new TwoClocks();
        var changes = new RecentChanges();
        var directory = new KeyCache(new FakeKeyStore(), changes, new KeyCacheOptions { CacheSize = 100 });
        _follower = new LedgerPoller(_ledger, changes, directory, new LedgerPollerOptions(), _clock);
    }

    [TearDown]
    public void Dispose() => _follower.Dispose();

    [Test]
    public async Task All_who_ask_while_a_query_runs_share_the_next_one()
    {
        await _follower.StartAsync(CancellationToken.None);
        var gate = _ledger.HoldNextRead();
        var first = _follower.CatchUpAsync();
        await gate.Reached;

        var late = _ledger.Append();
        var waiting = Enumerable.Range(0, 20).Select(_ => _follower.CatchUpAsync()).ToArray();
        Assert.That(waiting, Is.All.SameAs(waiting[0]));
        Assert.That(waiting[0], Is.Not.SameAs(first), "theirs begins after they came");
        Assert.That(_ledger.Reads, Is.EqualTo(1), "one at a time");

        gate.Open();
        await first;
        await waiting[0];
        Assert.That(_ledger.Reads, Is.EqualTo(2));
        Assert.That(_follower.Seen, Is.EqualTo(late.Position));
    }

    [Test]
    public async Task A_query_that_fails_is_not_given_to_who_asks_after_it()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        Assert.That(() => _follower.CatchUpAsync(), Throws.TypeOf<StoreUnavailableException>());

        _ledger.IsDown = false;
        var last = _ledger.Append();
        await _follower.CatchUpAsync();

        Assert.That(_follower.Seen, Is.EqualTo(last.Position));
    }

    [Test]
    public async Task Who_waits_behind_a_query_that_fails_does_not_wait_for_the_same_failure_again()
    {
        await _follower.StartAsync(CancellationToken.None);
        var gate = _ledger.HoldNextRead();
        var first = _follower.CatchUpAsync();
        await gate.Reached;
        var behind = _follower.CatchUpAsync();
        _ledger.IsDown = true;
        gate.Open();

        Assert.That(async () => await first, Throws.TypeOf<StoreUnavailableException>());
        Assert.That(async () => await behind, Throws.TypeOf<StoreUnavailableException>());
        Assert.That(_ledger.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task While_the_poll_tries_a_ledger_that_failed_before_nobody_waits_for_it()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        Assert.That(async () => await _follower.CatchUpAsync(), Throws.TypeOf<StoreUnavailableException>());
        _clock.PassSeconds(5);
        var gate = _ledger.HoldNextRead();
        var poll = _follower.CatchUpAsync();
        await gate.Reached;

        Assert.That(_follower.EnsureTrustAsync().AsTask().IsCompletedSuccessfully);
        Assert.That(_follower.RefreshAsync().IsCompletedSuccessfully);

        gate.Open();
        Assert.That(async () => await poll, Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task The_time_without_waiting_begins_when_the_failure_came_not_when_it_was_asked()
    {
        await _follower.StartAsync(CancellationToken.None);
        var gate = _ledger.HoldNextRead();
        _ledger.IsDown = true;
        var slow = _follower.CatchUpAsync();
        await gate.Reached;
        _clock.PassSeconds(5);
        gate.Open();
        Assert.That(async () => await slow, Throws.TypeOf<StoreUnavailableException>());

        await _follower.EnsureTrustAsync();

        Assert.That(_ledger.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task Whether_the_ledger_reaches_a_seq_is_read_only_when_it_was_not_seen_so_far()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.Append();
        _ledger.Append();

        Assert.That(await _follower.ReachesAsync(2));
        Assert.That(await _follower.ReachesAsync(1));
        Assert.That(_ledger.Reads, Is.EqualTo(1));
        Assert.That(await _follower.ReachesAsync(3), Is.False, "it claims to be of another ledger");
    }
}
