using Mira.Application.Ledger;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Verification;

public sealed class LedgerTrustTests : IDisposable
{
    private static readonly TimeSpan Instant = TimeSpan.FromMilliseconds(1);

    private FakeLedgerReader _ledger = null!;
    private FakeKeyStore _store = null!;
    private RecentChanges _changes = null!;
    private KeyCache _directory = null!;
    private TwoClocks _clock = null!;
    private LedgerPoller _follower = null!;
    private HeldKey _held = null!;

    [SetUp]
    public void SetUp()
    {
        _ledger = new FakeLedgerReader();
        _store = new FakeKeyStore();
        _changes = new RecentChanges();
        _directory = new KeyCache(_store, _changes, new KeyCacheOptions { CacheSize = 100 });
        _clock = new TwoClocks();
        _follower = Follower(new LedgerPollerOptions());
        _held = new HeldKey();
        _store.Put(_held);
    }

    [TearDown]
    public void Dispose() => _follower.Dispose();

    [Test]
    public async Task The_ledger_was_seen_when_the_query_was_sent_not_when_its_answer_came()
    {
        await _follower.StartAsync(CancellationToken.None);
        var gate = _ledger.HoldNextRead();
        var query = _follower.CatchUpAsync();
        await gate.Reached;
        _clock.PassSeconds(5);
        gate.Open();
        await query;

        Assert.That(_follower.Staleness, Is.EqualTo(TimeSpan.FromSeconds(5)));
    }

    [Test]
    public async Task A_ledger_seen_a_moment_ago_needs_no_query()
    {
        await _follower.StartAsync(CancellationToken.None);
        _clock.PassSeconds(2);

        Assert.That(_follower.EnsureTrustAsync().AsTask().IsCompletedSuccessfully);
        Assert.That(_ledger.Reads, Is.Zero);
    }

    [Test]
    public async Task A_ledger_not_seen_for_two_seconds_is_asked_once()
    {
        await StartAndWarmAsync(_held);
        _clock.Pass(TimeSpan.FromSeconds(2) + Instant);
        _ledger.Append(_held.Id);

        await _follower.EnsureTrustAsync();
        Assert.That(_ledger.Reads, Is.EqualTo(1));
        Assert.That(_directory.Figures.Entries, Is.Zero, "the change is known before anything is trusted");

        await _follower.EnsureTrustAsync();
        Assert.That(_ledger.Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task A_node_that_was_never_started_asks_before_it_trusts()
    {
        await _follower.EnsureTrustAsync();

        Assert.That(_ledger.Reads, Is.EqualTo(1));
        Assert.That(_follower.IsReady);
    }

    [Test]
    public async Task While_the_ledger_cannot_be_read_a_node_goes_on_and_tries_once_each_poll()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        _clock.PassSeconds(3);

        await _follower.EnsureTrustAsync();
        Assert.That(_ledger.Reads, Is.EqualTo(1));

        _clock.Pass(TimeSpan.FromSeconds(1) - Instant);
        await _follower.EnsureTrustAsync();
        Assert.That(_ledger.Reads, Is.EqualTo(1), "nobody waits for another failure before the next poll");

        _clock.Pass(Instant);
        await _follower.EnsureTrustAsync();
        Assert.That(_ledger.Reads, Is.EqualTo(2));
    }

    [Test]
    public async Task A_node_trusts_its_cache_up_to_the_maximum_and_not_a_moment_longer()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        _clock.PassSeconds(30);
        Assert.That(_follower.IsReady);
        await _follower.EnsureTrustAsync();

        _clock.Pass(Instant);

        Assert.That(_follower.IsReady, Is.False);
        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(_ledger.Reads, Is.EqualTo(1), "refused without waiting for another failure");
        _clock.PassSeconds(1);
        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(_ledger.Reads, Is.EqualTo(2));
    }

    [TestCase(1)]
    [TestCase(1.5)]
    public async Task A_maximum_shorter_than_two_seconds_holds_as_well(double seconds)
    {
        _follower.Dispose();
        _follower = Follower(new LedgerPollerOptions { MaxStaleness = TimeSpan.FromSeconds(seconds) });
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        _clock.PassSeconds(seconds);
        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.Nothing);

        _clock.Pass(Instant);

        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task A_ledger_that_can_be_read_again_is_trusted_at_once()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;
        _clock.PassSeconds(60);
        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());

        _ledger.IsDown = false;
        _clock.PassSeconds(1);

        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.Nothing);
        Assert.That(_follower.IsReady);
    }

    [Test]
    public async Task A_node_that_slept_does_not_serve_what_it_slept_through()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;

        _clock.SetWall(TimeSpan.FromHours(1));

        Assert.That(_follower.IsReady, Is.False);
        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task A_wall_clock_set_back_gives_no_more_time()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;

        _clock.SetWall(TimeSpan.FromHours(-1));
        Assert.That(_follower.IsReady);
        _clock.Pass(TimeSpan.FromSeconds(30) + Instant);

        Assert.That(async () => await _follower.EnsureTrustAsync(), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task A_wall_clock_that_stands_still_gives_no_more_time()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.IsDown = true;

        _clock.PassUnseenByWall(TimeSpan.FromSeconds(31));

        Assert.That(_follower.IsReady, Is.False);
    }

    private LedgerPoller Follower(LedgerPollerOptions options) => new(_ledger, _changes, _directory, options, _clock);

    private async Task StartAndWarmAsync(params HeldKey[] keys)
    {
        await _follower.StartAsync(CancellationToken.None);
        foreach (var held in keys)
            await _directory.FindAsync(held.Id);
    }
}
