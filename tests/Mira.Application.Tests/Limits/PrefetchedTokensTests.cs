using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// What a node admits of keys whose limit is large: it takes a few tokens at once and spends them within a second.
/// </summary>
internal sealed class PrefetchedTokensTests
{
    private FakeTimeProvider _clock = null!;
    private FakeSharedLimits _shared = null!;
    private RateLimiter _limiter = null!;

    private int Questions => _shared.Asked.Count;

    [SetUp]
    public void MakeLimiter()
    {
        _clock = LimitedKey.Clock();
        _shared = new FakeSharedLimits(_clock);
        _limiter = new RateLimiter(new LimitOptions(), _clock, _shared);
    }

    [TearDown]
    public void EndLimiter() => _limiter.Dispose();

    [TestCase(1_000, 1)]
    [TestCase(1_999, 1)]
    [TestCase(10_000, 10)]
    [TestCase(10_000_000, 10_000)]
    public async Task A_lease_is_a_thousandth_of_the_limit_and_lives_a_second(int limit, int lease)
    {
        Assert.That(await _limiter.ChargeAsync(LimitedKey.Entry(limit)), Is.EqualTo(new LimitState(true, limit, limit - 1, 60)));
        var asked = _shared.Asked.Single();
        Assert.That((asked.Needed, asked.Wanted, asked.Limit, asked.Life), Is.EqualTo((1, lease, limit, TimeSpan.FromSeconds(1))));
    }

    [Test]
    public async Task The_limit_is_reached_exactly()
    {
        var entry = LimitedKey.Entry(10_000);
        for (var call = 1; call <= 10_000; call++)
            Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 10_000, 10_000 - call, 60)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 10_000, 0, 60)));
        // The second lease is fetched when nine of the first ten are used, and so holds nine.
        Assert.That(Questions, Is.EqualTo(1_001));
    }

    [Test]
    public async Task What_is_left_of_the_shared_window_is_leased_too()
    {
        var entry = LimitedKey.Entry(10_000);
        _shared.Take(entry.Id, 10_000, 9_993, 9_993);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 10_000, 6, 60)));
        Assert.That(await _limiter.AdmittedAsync(entry, 20), Is.EqualTo(6));
        Assert.That(Questions, Is.EqualTo(1), "it is known to be full");
        _clock.PassSeconds(61);
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
    }

    [Test]
    public async Task A_lease_is_not_used_after_a_second()
    {
        var entry = LimitedKey.Entry(10_000);
        await _limiter.ChargeAsync(entry);
        _clock.PassSeconds(1);
        await _limiter.ChargeAsync(entry);
        Assert.That(Questions, Is.EqualTo(2));
        Assert.That(_shared.Asked[1].Settlement.Unused, Is.EqualTo(9), "what was not used is returned");
    }

    [Test]
    public async Task A_lease_is_not_used_after_a_second_that_a_suspended_machine_slept_through()
    {
        var clock = new SuspendedClock();
        var shared = new FakeSharedLimits(clock);
        using var limiter = new RateLimiter(new LimitOptions(), clock, shared);
        var entry = LimitedKey.Entry(10_000);
        await limiter.ChargeAsync(entry);
        clock.Slept = TimeSpan.FromSeconds(70);
        await limiter.ChargeAsync(entry);
        Assert.That(shared.Asked, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task The_next_lease_is_fetched_before_this_one_ends_and_nobody_waits_for_it()
    {
        var entry = LimitedKey.Entry(10_000);
        await _limiter.ChargeAsync(entry);
        _clock.PassSeconds(0.3);
        await _limiter.ChargeAsync(entry);
        Assert.That(Questions, Is.EqualTo(1));
        _clock.PassSeconds(0.3);
        var gate = new Gate();
        _shared.Going = gate.PassAsync;
        Assert.That(_limiter.ChargeAsync(entry, 1).AsTask().IsCompletedSuccessfully, Is.True, "it is admitted from the lease it has");
        Assert.That(Questions, Is.EqualTo(2));
        gate.Open();
        await RenewedAsync(entry);
        _clock.PassSeconds(0.5);
        Assert.That(_limiter.ChargeAsync(entry, 1).AsTask().IsCompletedSuccessfully, Is.True, "the next lease was there before it ended");
    }

    [Test]
    public async Task The_next_lease_is_fetched_before_this_one_is_spent()
    {
        var entry = LimitedKey.Entry(100_000);
        for (var call = 0; call < 87; call++)
            await _limiter.ChargeAsync(entry);
        Assert.That(Questions, Is.EqualTo(1));
        await _limiter.ChargeAsync(entry);
        Assert.That(Questions, Is.EqualTo(2));
    }

    [Test]
    public async Task Its_second_begins_when_it_is_asked_for()
    {
        var entry = LimitedKey.Entry(10_000);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var first = _limiter.ChargeAsync(entry);
        await gate.Reached;
        _clock.PassSeconds(0.9);
        gate.Open();
        Assert.That((await first).IsAdmitted, Is.True);
        _clock.PassSeconds(0.1);
        await _limiter.ChargeAsync(entry);
        Assert.That(Questions, Is.EqualTo(2));
    }

    [Test]
    public async Task A_lease_that_arrives_after_its_life_is_not_used()
    {
        var entry = LimitedKey.Entry(10_000);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var paused = _limiter.ChargeAsync(entry);
        await gate.Reached;
        _clock.PassSeconds(70);
        _shared.Take(entry.Id, 10_000, 10_000, 10_000);
        gate.Open();
        Assert.That((await paused).IsAdmitted, Is.False);
    }

    [TestCase(0.5)]
    [TestCase(61.5)]
    public async Task What_an_old_answer_says_is_not_taken_for_new(double seconds)
    {
        var entry = LimitedKey.Entry(10_000);
        _shared.Take(entry.Id, 10_000, 10_000, 10_000);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var call = _limiter.ChargeAsync(entry);
        await gate.Reached;
        _clock.PassSeconds(seconds);
        gate.Open();
        Assert.That((await call).IsAdmitted, Is.EqualTo(seconds > 60));
        _clock.PassSeconds(61 - Math.Min(seconds, 1));
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
    }

    [Test]
    public async Task Calls_that_wait_together_share_one_request()
    {
        var entry = LimitedKey.Entry(100_000);
        var gate = new Gate();
        _shared.Going = gate.PassAsync;
        var calls = Enumerable.Range(0, 100).Select(_ => _limiter.ChargeAsync(entry)).ToList();
        await gate.Reached;
        Assert.That(Questions, Is.EqualTo(1));
        gate.Open();
        Assert.That(await Task.WhenAll(calls), Has.All.Property(nameof(LimitState.IsAdmitted)).True);
        Assert.That(Questions, Is.EqualTo(1));
    }

    [Test]
    public async Task A_cost_beyond_the_lease_is_asked_for_whole_and_what_was_left_is_kept()
    {
        var entry = LimitedKey.Entry(10_000);
        Assert.That(await _limiter.ChargeAsync(entry, 4), Is.EqualTo(new LimitState(true, 10_000, 9_996, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 500), Is.EqualTo(new LimitState(true, 10_000, 9_496, 60)));
        Assert.That(Questions, Is.EqualTo(2));
        Assert.That(await _limiter.AdmittedAsync(entry, 6), Is.EqualTo(6));
        Assert.That(Questions, Is.EqualTo(3), "the next one is fetched ahead");
    }

    [Test]
    public async Task What_is_in_hand_and_what_is_left_make_a_cost_together()
    {
        var entry = LimitedKey.Entry(10_000);
        _shared.Take(entry.Id, 10_000, 9_986, 9_986);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 10_000, 13, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 14), Is.EqualTo(new LimitState(false, 10_000, 13, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 13), Is.EqualTo(new LimitState(true, 10_000, 0, 60)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 10_000, 0, 60)));
    }

    [Test]
    public async Task To_ask_about_a_key_nobody_used_says_all_is_left()
    {
        var entry = LimitedKey.Entry(10_000);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10_000, 10_000, 0)));
        Assert.That(await _limiter.ChargeAsync(entry, 10_001), Is.EqualTo(new LimitState(false, 10_000, 10_000, 0)));
    }

    [Test]
    public async Task To_ask_says_what_others_took_a_moment_ago_and_is_cheap()
    {
        var entry = LimitedKey.Entry(10_000);
        _shared.Take(entry.Id, 10_000, 9_000, 9_000);
        for (var call = 0; call < 100; call++)
            Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10_000, 1_000, 60)));
        Assert.That(Questions, Is.EqualTo(1));

        _shared.Take(entry.Id, 10_000, 1_000, 1_000);
        _clock.PassSeconds(1);
        Assert.That((await _limiter.ChargeAsync(entry, 0)).Remaining, Is.Zero);
    }

    [Test]
    public async Task A_lease_under_another_limit_is_not_used()
    {
        var held = LimitedKey.Of(10_000);
        Assert.That((await _limiter.ChargeAsync(held.At(1))).Remaining, Is.EqualTo(9_999));
        var lowered = held.Changed(5_000);
        Assert.That(await _limiter.ChargeAsync(lowered), Is.EqualTo(new LimitState(true, 5_000, 4_989, 60)));
        Assert.That(_shared.Asked[^1].Limit, Is.EqualTo(5_000));

        // Also not when only a question lay between.
        var lowest = held.Changed(1_000);
        _shared.Take(held.Id, 1_000, 900, 985);
        Assert.That((await _limiter.ChargeAsync(lowest, 0)).Remaining, Is.Zero);
        Assert.That((await _limiter.ChargeAsync(lowest)).IsAdmitted, Is.False);
    }

    [Test]
    public async Task When_it_is_gone_or_silent_the_node_goes_on_from_what_it_admitted()
    {
        var entry = LimitedKey.Entry(1_000);
        Assert.That(await _limiter.AdmittedAsync(entry, 700), Is.EqualTo(700));
        _shared.IsAvailable = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 200), Is.EqualTo(200));
        (_shared.IsAvailable, _shared.IsSilent) = (true, true);
        Assert.That(await _limiter.AdmittedAsync(entry, 200), Is.EqualTo(100));
    }

    [Test]
    public async Task A_failed_request_does_not_stop_the_next()
    {
        var entry = LimitedKey.Entry(10_000);
        _shared.Going = () => throw new InvalidOperationException();
        Assert.That(async () => await _limiter.ChargeAsync(entry), Throws.InvalidOperationException);
        _shared.Going = () => Task.CompletedTask;
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
        _clock.PassSeconds(180);
        Assert.That(_limiter.Meters, Is.Zero);
    }

    [TestCase(10_000, 0.12)]
    [TestCase(100_000, 0.02)]
    public async Task Under_load_few_calls_ask(int limit, double most)
    {
        // As many as the limit allows, evenly over two minutes, then as many at once.
        var entry = LimitedKey.Entry(limit);
        var admitted = 0;
        for (var call = 0; call < 2 * limit; call++)
        {
            _clock.Advance(TimeSpan.FromMinutes(1) / limit);
            admitted += (await _limiter.ChargeAsync(entry)).IsAdmitted ? 1 : 0;
        }

        Assert.That(admitted, Is.GreaterThan(1.95 * limit));
        Assert.That((double)Questions / admitted, Is.LessThanOrEqualTo(most));

        _clock.PassSeconds(62);
        _shared.Asked.Clear();
        var states = await Task.WhenAll(Enumerable.Range(0, limit).Select(_ => Task.Run(() => _limiter.ChargeAsync(entry))));
        Assert.That(states, Has.All.Property(nameof(LimitState.IsAdmitted)).True);
        Assert.That((double)Questions / limit, Is.LessThanOrEqualTo(most));
    }

    // The answer comes in on another thread.
    private static async Task RenewedAsync(KeyEntry entry)
    {
        while (true)
        {
            lock (entry.Meter!)
            {
                if (entry.Meter.Fetching is null)
                    return;
            }

            await Task.Yield();
        }
    }
}
