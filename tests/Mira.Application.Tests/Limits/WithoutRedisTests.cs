using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// What a node does by itself while the shared windows do not answer, and what it tells them when they are back.
/// </summary>
internal sealed class WithoutRedisTests
{
    private FakeTimeProvider _clock = null!;
    private FakeSharedLimits _shared = null!;
    private RateLimiter _limiter = null!;

    [SetUp]
    public void MakeClock()
    {
        _clock = LimitedKey.Clock();
        _shared = new FakeSharedLimits(_clock);
        Use(WithoutRedis.Local);
    }

    [TearDown]
    public void EndLimiter() => _limiter.Dispose();

    [Test]
    public async Task Local_is_the_whole_limit_less_what_was_admitted_already()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.AdmittedAsync(entry, 4), Is.EqualTo(4));
        _shared.IsAvailable = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 20), Is.EqualTo(6));
    }

    [TestCase(3, 100, 33)]
    [TestCase(1, 100, 100)]
    [TestCase(200, 100, 1)]
    public async Task Share_is_the_limit_divided_by_the_nodes_seen(int nodes, int limit, int share)
    {
        Use(WithoutRedis.Share);
        _shared.NodesSeen = nodes;
        var entry = LimitedKey.Entry(limit);
        _shared.IsAvailable = false;
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, limit, share - 1, 60)));
        Assert.That(await _limiter.AdmittedAsync(entry, 200), Is.EqualTo(share - 1));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, limit, 0, 60)));
    }

    [Test]
    public async Task Share_counts_what_was_granted_before()
    {
        Use(WithoutRedis.Share);
        _shared.NodesSeen = 4;
        var entry = LimitedKey.Entry(100);
        await _limiter.AdmittedAsync(entry, 20);
        _shared.IsAvailable = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 100), Is.EqualTo(5));
    }

    [Test]
    public async Task Refuse_admits_nothing_but_says_how_a_key_stands()
    {
        Use(WithoutRedis.Refuse);
        var entry = LimitedKey.Entry(10);
        await _limiter.AdmittedAsync(entry, 4);
        _shared.IsAvailable = false;
        Assert.That(async () => await _limiter.ChargeAsync(entry), Throws.InstanceOf<LimitsUnavailableException>());
        Assert.That((await _limiter.ChargeAsync(entry, 0)).Remaining, Is.EqualTo(6));
        _shared.IsAvailable = true;
        _shared.IsSilent = true;
        Assert.That(async () => await _limiter.ChargeAsync(entry), Throws.InstanceOf<LimitsUnavailableException>());
        _shared.IsSilent = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 10), Is.EqualTo(5), "the silent answer took one");
    }

    [TestCase(WithoutRedis.Local)]
    [TestCase(WithoutRedis.Refuse)]
    public async Task A_lease_in_hand_is_spent_first_because_it_is_counted_already(WithoutRedis mode)
    {
        Use(mode);
        var entry = LimitedKey.Entry(10_000);
        await _limiter.ChargeAsync(entry);
        _shared.IsAvailable = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 9), Is.EqualTo(9));
        Assert.That(_limiter.DecidedAlone, Is.Zero);
        if (mode == WithoutRedis.Refuse)
            Assert.That(async () => await _limiter.ChargeAsync(entry), Throws.InstanceOf<LimitsUnavailableException>());
        else
            Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
    }

    [Test]
    public async Task When_they_are_back_they_are_told_what_was_admitted_without_them()
    {
        var (busy, idle) = (LimitedKey.Entry(10), LimitedKey.Entry(10));
        _shared.IsAvailable = false;
        await _limiter.AdmittedAsync(busy, 4);
        await _limiter.AdmittedAsync(idle, 7);
        _clock.PassSeconds(20);
        _shared.IsAvailable = true;
        Assert.That(await _limiter.ChargeAsync(busy), Is.EqualTo(new LimitState(true, 10, 5, 40)));

        Assert.That(_shared.Take(idle.Id, 10, 0, 0).Remaining, Is.EqualTo(3), "also of keys that are not called");
        Assert.That(_shared.Take(busy.Id, 10, 0, 0).Remaining, Is.EqualTo(5));
        _clock.PassSeconds(40);
        Assert.That(_shared.Take(idle.Id, 10, 0, 0).Remaining, Is.EqualTo(10), "and it leaves when it would have");
    }

    [Test]
    public async Task What_was_not_heard_of_is_owed_still()
    {
        var entry = LimitedKey.Entry(10);
        _shared.IsAvailable = false;
        await _limiter.AdmittedAsync(entry, 4);
        _shared.IsAvailable = true;
        _shared.IsSilent = true;
        await _limiter.ChargeAsync(entry);
        _shared.IsSilent = false;
        _shared.Asked.Clear();
        await _limiter.ChargeAsync(entry);
        Assert.That(_shared.Asked.Sum(asked => asked.Settlement.Owed), Is.EqualTo(5));
    }

    [Test]
    public async Task It_shows_while_calls_are_decided_alone_and_for_a_minute_after()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(_limiter.HasDecidedAlone, Is.False);
        _shared.IsAvailable = false;
        Assert.That(_limiter.HasDecidedAlone, Is.False, "nothing was decided yet");
        await _limiter.ChargeAsync(entry);
        _shared.IsAvailable = true;
        _clock.PassSeconds(59);
        Assert.That(_limiter.HasDecidedAlone, Is.True);
        _clock.PassSeconds(1);
        Assert.That(_limiter.HasDecidedAlone, Is.False);
        using var single = new RateLimiter(new LimitOptions(), _clock);
        Assert.That(single.HasDecidedAlone, Is.Null);
    }

    private void Use(WithoutRedis mode)
    {
        _limiter?.Dispose();
        _limiter = new RateLimiter(new LimitOptions { WithoutRedis = mode }, _clock, _shared);
    }
}
