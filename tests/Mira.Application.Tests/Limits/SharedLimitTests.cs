using Microsoft.Extensions.Time.Testing;
using Mira.Application.Ledger;
using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// What a node admits with a window that others charge too, of keys whose limit is small: one question a call.
/// </summary>
internal sealed class SharedLimitTests
{
    private FakeTimeProvider _clock = null!;
    private FakeSharedLimits _shared = null!;
    private RateLimiter _limiter = null!;

    [SetUp]
    public void MakeLimiter()
    {
        _clock = LimitedKey.Clock();
        _shared = new FakeSharedLimits(_clock);
        _limiter = new RateLimiter(new LimitOptions(), _clock, _shared);
    }

    [TearDown]
    public void EndLimiter() => _limiter.Dispose();

    [TestCase(1)]
    [TestCase(100)]
    [TestCase(999)]
    public async Task Each_call_asks_for_its_own_cost(int limit)
    {
        var entry = LimitedKey.Entry(limit);
        for (var call = 1; call <= limit; call++)
            Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, limit, limit - call, 60)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, limit, 0, 60)));
        Assert.That(_shared.Asked, Has.Count.EqualTo(limit));
        Assert.That(_shared.Asked.Distinct().Single(), Is.EqualTo(new FakeSharedLimits.Question(entry.Id, limit, 1, 1, TimeSpan.FromSeconds(0.5))));
    }

    [Test]
    public async Task What_others_took_is_not_there()
    {
        var entry = LimitedKey.Entry(100);
        _shared.Take(entry.Id, 100, 70, 70);
        _clock.PassSeconds(50);
        // The others' calls leave first.
        Assert.That(await _limiter.ChargeAsync(entry, 20), Is.EqualTo(new LimitState(true, 100, 10, 11)));
        Assert.That(await _limiter.ChargeAsync(entry, 11), Is.EqualTo(new LimitState(false, 100, 10, 11)));
        Assert.That(await _limiter.ChargeAsync(entry, 10), Is.EqualTo(new LimitState(true, 100, 0, 11)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 100, 0, 11)));
        _clock.PassSeconds(11);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 100, 69, 50)));
    }

    [Test]
    public async Task A_refused_key_does_not_ask_again_before_something_can_have_left()
    {
        var entry = LimitedKey.Entry(100);
        // What is not used here is swept away each minute, and must not be forgotten before its time.
        _clock.PassSeconds(30);
        _shared.Take(entry.Id, 100, 100, 100);
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.False);
        for (var second = 60; second > 0; second--)
        {
            var state = await _limiter.ChargeAsync(entry);
            Assert.That((state.IsAdmitted, state.Remaining), Is.EqualTo((false, 0)));
            _clock.PassSeconds(1);
        }

        Assert.That(_shared.Asked, Has.Count.EqualTo(1));
        _clock.PassSeconds(1);
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
    }

    [Test]
    public async Task A_raised_limit_is_asked_for_at_once_and_a_lowered_one_refused()
    {
        var held = LimitedKey.Of(10);
        _shared.Take(held.Id, 10, 10, 10);
        Assert.That((await _limiter.ChargeAsync(held.At(1))).IsAdmitted, Is.False);
        var raised = held.Changed(12);
        Assert.That(await _limiter.AdmittedAsync(raised, 5), Is.EqualTo(2));
        var lowered = held.Changed(5);
        Assert.That((await _limiter.ChargeAsync(lowered)).IsAdmitted, Is.False);
    }

    [Test]
    public async Task A_cost_of_nothing_asks_and_takes_nothing()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10, 10, 0)));
        _shared.Take(entry.Id, 10, 4, 4);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10, 6, 60)));
        _shared.Take(entry.Id, 10, 6, 6);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10, 0, 60)));
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.False);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 10, 0, 60)));
    }

    [Test]
    public async Task More_than_the_limit_at_once_is_refused_without_a_question()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.ChargeAsync(entry, 11), Is.EqualTo(new LimitState(false, 10, 10, 0)));
        Assert.That(_shared.Asked, Is.Empty);
    }

    [Test]
    public async Task When_it_is_gone_the_node_goes_on_from_what_it_admitted()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.AdmittedAsync(entry, 7), Is.EqualTo(7));
        _shared.IsAvailable = false;
        Assert.That(_limiter.IsDegraded, Is.True);
        Assert.That(await _limiter.AdmittedAsync(entry, 10), Is.EqualTo(3));
        Assert.That(_shared.Asked, Has.Count.EqualTo(7));

        _shared.IsAvailable = true;
        Assert.That(_limiter.IsDegraded, Is.False);
        Assert.That(await _limiter.AdmittedAsync(entry, 10), Is.Zero);
    }

    [Test]
    public async Task An_answer_that_does_not_come_leaves_the_decision_here()
    {
        var entry = LimitedKey.Entry(10);
        _shared.IsSilent = true;
        Assert.That(await _limiter.AdmittedAsync(entry, 20), Is.EqualTo(10));
    }

    [Test]
    public async Task Calls_that_come_together_after_an_outage_do_not_pass_the_nodes_own_limit()
    {
        var entry = LimitedKey.Entry(100);
        _shared.IsAvailable = false;
        Assert.That(await _limiter.AdmittedAsync(entry, 95), Is.EqualTo(95));

        _shared.IsAvailable = true;
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var calls = Enumerable.Range(0, 50).Select(_ => _limiter.ChargeAsync(entry)).ToList();
        gate.Open();
        var states = await Task.WhenAll(calls);
        Assert.That(states.Count(state => state.IsAdmitted), Is.EqualTo(5));
    }

    [Test]
    public async Task An_answer_that_comes_too_late_is_not_used_but_asked_for_again()
    {
        var entry = LimitedKey.Entry(10);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var granted = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(70);
        _shared.Take(entry.Id, 10, 10, 10);
        gate.Open();
        // Others have taken all, and the bucket of its token is gone.
        Assert.That((await granted).IsAdmitted, Is.False);
        Assert.That(_shared.Asked, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_token_that_comes_too_late_is_returned_and_asked_for_again_for_longer()
    {
        var entry = LimitedKey.Entry(1);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var granted = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(0.6);
        gate.Open();
        Assert.That((await granted).IsAdmitted, Is.True, "the only token was not lost");
        Assert.That(_shared.Asked.Select(asked => asked.Life.TotalSeconds), Is.EqualTo(new[] { 0.5, 2 }));
        Assert.That(_shared.Asked[1].Settlement.Unused, Is.EqualTo(1));
    }

    [Test]
    public async Task Calls_that_wait_together_ask_for_what_they_need_together()
    {
        var entry = LimitedKey.Entry(100);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var calls = Enumerable.Range(0, 300).Select(_ => _limiter.ChargeAsync(entry)).ToList();
        gate.Open();
        var states = await Task.WhenAll(calls);
        Assert.That(states.Count(state => state.IsAdmitted), Is.EqualTo(100));
        Assert.That(_shared.Asked.Select(asked => asked.Wanted), Is.EqualTo(new[] { 1, 299 }));
    }

    [Test]
    public async Task A_refusal_that_comes_too_late_lets_nobody_in()
    {
        var entry = LimitedKey.Entry(10);
        _shared.Take(entry.Id, 10, 10, 10);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var refused = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(5);
        gate.Open();
        Assert.That((await refused).IsAdmitted, Is.False);
    }

    [Test]
    public async Task A_refusal_that_comes_too_late_keeps_nobody_out()
    {
        var entry = LimitedKey.Entry(10);
        _shared.Take(entry.Id, 10, 10, 10);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var call = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(62);
        gate.Open();
        Assert.That((await call).IsAdmitted, Is.True);
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True);
    }

    [Test]
    public async Task An_older_answer_does_not_undo_a_newer_one()
    {
        var entry = LimitedKey.Entry(10);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        var older = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(0.1);
        _shared.Take(entry.Id, 10, 9, 9);
        _shared.Coming = () => Task.CompletedTask;
        Assert.That((await _limiter.ChargeAsync(entry, 0)).Remaining, Is.Zero);
        gate.Open();
        Assert.That((await older).IsAdmitted, Is.True);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 10, 0, 60)));
        Assert.That(_shared.Asked, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_node_that_is_always_too_late_says_so_and_admits_nobody()
    {
        var (small, large) = (LimitedKey.Entry(10), LimitedKey.Entry(10_000));
        _shared.Coming = () =>
        {
            _clock.PassSeconds(20);
            return Task.CompletedTask;
        };
        Assert.That(async () => await _limiter.ChargeAsync(small), Throws.InstanceOf<OverloadedException>());
        Assert.That(_shared.Take(small.Id, 10, 0, 0).Remaining, Is.EqualTo(9), "what came too late was returned with the next question");
        Assert.That(async () => await _limiter.ChargeAsync(large), Throws.InstanceOf<OverloadedException>());
        Assert.That(_shared.Asked, Has.Count.EqualTo(6));
    }

    [Test]
    public async Task A_meter_does_not_retire_while_a_call_waits_for_an_answer()
    {
        var entry = LimitedKey.Entry(1);
        var gate = new Gate();
        _shared.Coming = gate.PassAsync;
        _shared.IsSilent = true;
        var waiting = _limiter.ChargeAsync(entry);
        _clock.PassSeconds(60);
        Assert.That(_limiter.Meters, Is.EqualTo(1));

        gate.Open();
        Assert.That((await waiting).IsAdmitted, Is.True);
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.False);
    }

    [Test]
    public async Task An_answer_that_fails_counts_nothing_and_holds_nothing()
    {
        var entry = LimitedKey.Entry(2);
        _shared.Going = () => throw new InvalidOperationException();
        Assert.That(async () => await _limiter.ChargeAsync(entry), Throws.InvalidOperationException);
        _shared.Going = () => Task.CompletedTask;
        Assert.That(await _limiter.AdmittedAsync(entry, 5), Is.EqualTo(2));
        _clock.PassSeconds(180);
        Assert.That(_limiter.Meters, Is.Zero);
    }

    [Test]
    public async Task Many_threads_on_two_nodes_are_admitted_exactly_the_limit()
    {
        using var other = new RateLimiter(new LimitOptions(), _clock, _shared);
        var held = LimitedKey.Of(900);
        var admitted = 0;
        await Task.WhenAll(new[] { _limiter, other, _limiter, other }.Select(limiter => Task.Run(async () =>
        {
            var entry = held.At(1);
            for (var call = 0; call < 500; call++)
            {
                if ((await limiter.ChargeAsync(entry)).IsAdmitted)
                    Interlocked.Increment(ref admitted);
            }
        })));
        Assert.That(admitted, Is.EqualTo(900));
    }
}
