using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

/// <summary>
/// A store that other nodes write to: what does not match may be a moment old and known to them only.
/// </summary>
public sealed class SharedStoreTests : IDisposable
{
    private FakeLedgerReader _ledger = null!;
    private FakeKeyStore _store = null!;
    private TwoClocks _clock = null!;
    private RecentChanges _changes = null!;
    private LedgerPoller _follower = null!;
    private ServiceMetrics _metrics = null!;
    private Verifier _verifier = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _ledger = new FakeLedgerReader();
        _store = new FakeKeyStore();
        _clock = new TwoClocks();
        _changes = new RecentChanges();
        var directory = new KeyCache(_store, _changes, new KeyCacheOptions { CacheSize = 100 });
        _follower = new LedgerPoller(_ledger, _changes, directory, new LedgerPollerOptions { IsShared = true }, _clock);
        _metrics = new ServiceMetrics();
        _verifier = new Verifier(directory, _follower, HeldKey.Peppers, new UsageLog(HeldKey.Peppers), _metrics, _clock);
        _held = new HeldKey();
        _ledger.Append();
        _store.AsOf = 1;
        await _follower.StartAsync(CancellationToken.None);
    }

    [TearDown]
    public void Dispose()
    {
        _follower.Dispose();
        _metrics.Dispose();
    }

    [Test]
    public async Task A_key_made_elsewhere_a_moment_ago_is_found_although_its_id_was_unknown()
    {
        Assert.That(await AskAsync(_held.Token), Is.EqualTo(VerdictCode.InvalidKey));

        MakeElsewhere(_held);

        Assert.That(await AskAsync(_held.Token), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task A_secret_made_elsewhere_a_moment_ago_is_found_although_the_key_was_warm()
    {
        MakeElsewhere(_held);
        await AskAsync(_held.Token);
        var rotated = _held.WithAnotherSecret();
        MakeElsewhere(rotated);

        Assert.That(await AskAsync(rotated.Token), Is.EqualTo(VerdictCode.Valid));
    }

    [Test]
    public async Task A_right_secret_of_a_warm_key_asks_nobody()
    {
        MakeElsewhere(_held);
        await AskAsync(_held.Token);
        var reads = _ledger.Reads;

        for (var i = 0; i < 10; i++)
            await AskAsync(_held.Token);

        Assert.That(_ledger.Reads, Is.EqualTo(reads));
    }

    [Test]
    public async Task Guesses_cost_one_query_at_a_time_whatever_their_number()
    {
        MakeElsewhere(_held);
        var unknown = Token.Generate(KeyId.Generate());
        await _follower.CatchUpAsync();
        await AskAsync(_held.Token);
        await AskAsync(unknown);
        var (reads, keys) = (_ledger.Reads, _store.Reads);
        var gate = _ledger.HoldNextRead();
        var first = AskAsync(unknown);
        await gate.Reached;

        var guesses = Enumerable.Range(0, 200).Select(i => AskAsync(i % 2 == 0 ? unknown : Token.Generate(_held.Id))).ToArray();
        gate.Open();

        Assert.That(await Task.WhenAll(guesses), Is.All.EqualTo(VerdictCode.InvalidKey));
        Assert.That(await first, Is.EqualTo(VerdictCode.InvalidKey));
        Assert.That(_ledger.Reads - reads, Is.EqualTo(2), "the one that ran, and the one they shared");
        Assert.That(_store.Reads, Is.EqualTo(keys), "the unknown id is answered from memory");
    }

    [Test]
    public async Task What_is_no_token_costs_no_query()
    {
        var text = _held.Token.Reveal();
        await _verifier.VerifyAsync(text[..^1] + (text[^1] == '0' ? '1' : '0'), null);

        Assert.That(_ledger.Reads, Is.Zero);
    }

    [Test]
    public async Task While_the_ledger_cannot_be_read_what_does_not_match_is_refused_by_what_is_known()
    {
        MakeElsewhere(_held);
        await AskAsync(_held.Token);
        _ledger.IsDown = true;

        for (var i = 0; i < 5; i++)
            Assert.That(await AskAsync(Token.Generate(_held.Id)), Is.EqualTo(VerdictCode.InvalidKey));

        Assert.That(_ledger.Reads, Is.EqualTo(1), "only the first one waited for the failure");
        _clock.PassSeconds(31);
        Assert.That(async () => await AskAsync(Token.Generate(_held.Id)), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task A_ledger_that_was_replaced_is_told_until_it_is_recorded_and_has_an_epoch_of_its_own()
    {
        var epoch = _changes.Epoch;
        _ledger.Append();
        await _follower.CatchUpAsync();
        Assert.That(_follower.Violation, Is.Null);

        _ledger.RollBackTo(1);
        await _follower.CatchUpAsync();

        Assert.That(_follower.Violation, Is.EqualTo("ledger_behind"));
        Assert.That(_changes.Epoch, Is.Not.EqualTo(epoch).And.Not.Empty);
        _follower.MarkRecorded("hash_differs");
        Assert.That(_follower.Violation, Is.Not.Null, "that was another one");
        _follower.MarkRecorded("ledger_behind");
        Assert.That(_follower.Violation, Is.Null);
    }

    [Test]
    public async Task An_epoch_that_another_node_began_is_followed_and_empties_the_cache()
    {
        MakeElsewhere(_held);
        await AskAsync(_held.Token);
        var reads = _store.Reads;
        var draft = new PendingEvent(EventType.IntegrityViolation, Actor.System, null, null) { Reason = LedgerEpoch.Reason };
        var began = LedgerEvent.Append(_follower.Seen, HeldKey.Start, draft);

        _follower.TryApply([began]);

        Assert.That(_changes.Epoch, Is.EqualTo(began.Hash[..16]));
        Assert.That(_follower.IsBroken, Is.False, "this node saw nothing wrong");
        _store.AsOf = began.Seq;
        await AskAsync(_held.Token);
        Assert.That(_store.Reads, Is.EqualTo(reads + 1));
    }

    [TestCase("cache_mac", null)]
    [TestCase(LedgerEpoch.Reason, "mira_key_000000000001")]
    public void Other_violations_begin_no_epoch(string reason, string? subject)
    {
        var draft = new PendingEvent(EventType.IntegrityViolation, Actor.System, subject, null) { Reason = reason };

        Assert.That(LedgerEpoch.StartedBy(LedgerEvent.Append(_follower.Seen, HeldKey.Start, draft)), Is.Null);
    }

    [Test]
    public async Task Committing_to_a_ledger_that_was_replaced_meanwhile_is_not_taken_for_something_seen_already()
    {
        for (var i = 0; i < 5; i++)
            _ledger.Append();
        await _follower.CatchUpAsync();
        _ledger.RollBackTo(2);
        var own = _ledger.Append(_held.Id);

        Assert.That(_follower.TryApply([own]), Is.False);
        await _follower.CatchUpAsync();

        Assert.That(_follower.Seen, Is.EqualTo(own.Position));
        Assert.That(_follower.Violation, Is.Not.Null);
    }

    private void MakeElsewhere(HeldKey held)
    {
        _store.Put(held);
        _store.AsOf = _ledger.Append(held.Id).Seq;
    }

    private async Task<VerdictCode> AskAsync(Token token) => (await _verifier.VerifyAsync(token.Reveal(), null)).Verdict.Code;
}
