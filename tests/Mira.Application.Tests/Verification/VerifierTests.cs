using System.Net;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Verification;

public sealed class VerifierTests : IDisposable
{
    private FakeLedgerReader _ledger = null!;
    private FakeKeyStore _store = null!;
    private TwoClocks _clock = null!;
    private LedgerPoller _follower = null!;
    private UsageLog _usage = null!;
    private ServiceMetrics _metrics = null!;
    private Verifier _verifier = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _ledger = new FakeLedgerReader();
        _store = new FakeKeyStore();
        _clock = new TwoClocks();
        var changes = new RecentChanges();
        var directory = new KeyCache(_store, changes, new KeyCacheOptions { CacheSize = 100 });
        _follower = new LedgerPoller(_ledger, changes, directory, new LedgerPollerOptions(), _clock);
        _usage = new UsageLog(HeldKey.Peppers);
        _metrics = new ServiceMetrics();
        _verifier = new Verifier(directory, _follower, HeldKey.Peppers, _usage, _metrics, _clock);
        _held = new HeldKey();
        _store.Put(_held);
        await _follower.StartAsync(CancellationToken.None);
    }

    [TearDown]
    public void Dispose()
    {
        _follower.Dispose();
        _metrics.Dispose();
    }

    [Test]
    public async Task A_valid_token_gives_its_key_its_secret_and_the_moment()
    {
        _clock.PassSeconds(1);

        var verification = await AskAsync(_held.Token);

        Assert.That(verification.Verdict.Code, Is.EqualTo(VerdictCode.Valid));
        Assert.That(verification.Key, Is.SameAs(_held.Key));
        Assert.That(verification.Use!.Secret, Is.SameAs(_held.Key.Current));
        Assert.That(verification.At, Is.EqualTo(HeldKey.Start.AddSeconds(1)));
    }

    [Test]
    public async Task A_valid_token_is_noted_as_used_now()
    {
        _clock.PassSeconds(1);
        var verification = await AskAsync(_held.Token);

        Assert.That(_usage.Take(10), Is.EqualTo(new[] { verification.Use }));
        Assert.That(verification.Use!.LastUsedAt, Is.EqualTo(HeldKey.Start.AddSeconds(1)));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("mira_key_short")]
    public async Task What_is_no_token_is_refused_without_any_look_up(string? presented)
    {
        _clock.PassSeconds(3);

        Assert.That(await _verifier.VerifyAsync(presented, null), Is.EqualTo(Mira.Application.Verification.Verification.Refused));
        Assert.That(_store.Reads + _ledger.Reads, Is.Zero);
    }

    [Test]
    public async Task A_wrong_checksum_is_refused_without_any_look_up()
    {
        var text = _held.Token.Reveal();
        var wrong = text[..^1] + (text[^1] == '0' ? '1' : '0');

        Assert.That((await _verifier.VerifyAsync(wrong, null)).Verdict, Is.EqualTo(Verdict.Invalid));
        Assert.That(_store.Reads, Is.Zero);
    }

    [Test]
    public async Task An_unknown_id_and_a_wrong_secret_get_one_and_the_same_answer()
    {
        var unknown = await AskAsync(Token.Generate(KeyId.Generate()));
        var wrong = await AskAsync(Token.Generate(_held.Id));

        Assert.That(unknown, Is.EqualTo(wrong));
        Assert.That(unknown.Verdict, Is.EqualTo(Verdict.Invalid));
        Assert.That(unknown.Key, Is.Null);
        Assert.That(unknown.Use, Is.Null);
        Assert.That(_usage.Take(10), Is.Empty);
    }

    [Test]
    public async Task Warm_keys_and_warm_unknown_ids_are_decided_at_once_and_without_the_store()
    {
        var unknown = Token.Generate(KeyId.Generate());
        await AskAsync(_held.Token);
        await AskAsync(unknown);
        _store.IsDown = true;
        _ledger.IsDown = true;

        foreach (var token in new[] { _held.Token, unknown, Token.Generate(_held.Id) })
            Assert.That(_verifier.VerifyAsync(token.Reveal(), null).AsTask().IsCompletedSuccessfully);
        Assert.That(_store.Reads, Is.EqualTo(2));
        Assert.That(_ledger.Reads, Is.Zero);
    }

    [Test]
    public async Task What_is_kept_for_a_secret_stays_the_same_from_call_to_call()
    {
        var first = await AskAsync(_held.Token);
        var second = await AskAsync(_held.Token);

        Assert.That(second.Use, Is.SameAs(first.Use));
    }

    [Test]
    public async Task A_refusal_of_a_right_secret_names_the_key_and_is_no_use_of_it()
    {
        _held.Key.Revoke("mira_key_000000000001", null, 1, HeldKey.Start);

        var verification = await AskAsync(_held.Token);

        Assert.That(verification.Verdict.Code, Is.EqualTo(VerdictCode.KeyRevoked));
        Assert.That(verification.Key, Is.SameAs(_held.Key));
        Assert.That(verification.Use!.Secret, Is.SameAs(_held.Key.Current));
        Assert.That(_usage.Take(10), Is.Empty);
    }

    [Test]
    public async Task A_key_expires_in_the_cache_by_the_clock()
    {
        await AskAsync(_held.Token);
        _clock.Pass(TimeSpan.FromDays(90));

        Assert.That((await AskAsync(_held.Token)).Verdict.Code, Is.EqualTo(VerdictCode.KeyExpired));
    }

    [Test]
    public async Task The_address_counts()
    {
        var range = IpRange.TryParse("203.0.113.0/24", out var parsed) ? parsed : throw new FormatException();
        var bound = new HeldKey(new KeyTerms { Name = "edge", Role = Role.Viewer, LifetimeDays = 1, AllowedIps = [range] });
        _store.Put(bound);

        Assert.That((await AskAsync(bound.Token, "203.0.113.9")).Verdict.Code, Is.EqualTo(VerdictCode.Valid));
        Assert.That((await AskAsync(bound.Token, "198.51.100.9")).Verdict.Code, Is.EqualTo(VerdictCode.IpNotAllowed));
        Assert.That((await AskAsync(bound.Token)).Verdict.Code, Is.EqualTo(VerdictCode.IpNotAllowed));
    }

    [Test]
    public async Task A_change_that_the_ledger_tells_of_counts_from_the_next_call()
    {
        await AskAsync(_held.Token);
        _store.Put(_held.RevokedCopy());
        var told = _ledger.Append(_held.Id);
        _store.AsOf = told.Seq;

        _follower.TryApply([told]);

        Assert.That((await AskAsync(_held.Token)).Verdict.Code, Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task A_node_that_saw_the_ledger_too_long_ago_asks_it_before_it_decides()
    {
        await AskAsync(_held.Token);
        _store.Put(_held.RevokedCopy());
        _store.AsOf = _ledger.Append(_held.Id).Seq;
        _clock.PassSeconds(3);

        Assert.That((await AskAsync(_held.Token)).Verdict.Code, Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Nothing_is_decided_by_what_is_too_old()
    {
        await AskAsync(_held.Token);
        _ledger.IsDown = true;
        _clock.PassSeconds(31);

        Assert.That(async () => await AskAsync(_held.Token), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public void A_key_that_cannot_be_read_is_not_decided_about()
    {
        _store.IsDown = true;

        Assert.That(async () => await AskAsync(_held.Token), Throws.TypeOf<StoreUnavailableException>());
    }

    private ValueTask<Mira.Application.Verification.Verification> AskAsync(Token token, string? from = null) =>
        _verifier.VerifyAsync(token.Reveal(), from is null ? null : IPAddress.Parse(from));
}
