using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;
using Mira.Domain.Keys;

namespace Mira.Application.Tests.Limits;

/// <summary>What one node admits by itself.</summary>
internal sealed class RateLimiterTests
{
    private FakeTimeProvider _clock = null!;
    private RateLimiter _limiter = null!;

    [SetUp]
    public void MakeLimiter()
    {
        _clock = LimitedKey.Clock();
        _limiter = new RateLimiter(new LimitOptions(), _clock);
    }

    [TearDown]
    public void EndLimiter() => _limiter.Dispose();

    [TestCase(Role.Viewer, null, 100)]
    [TestCase(Role.Operator, null, 200)]
    [TestCase(Role.Admin, null, 500)]
    [TestCase(Role.Viewer, 1, 1)]
    [TestCase(Role.Admin, 7, 7)]
    public async Task The_limit_is_reached_exactly(Role role, int? own, int limit)
    {
        var entry = LimitedKey.Entry(own, role);
        for (var call = 1; call <= limit; call++)
            Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, limit, limit - call, 60)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, limit, 0, 60)));
    }

    [Test]
    public async Task A_refused_call_is_not_counted()
    {
        var entry = LimitedKey.Entry(3);
        await _limiter.AdmittedAsync(entry, 3);
        for (var second = 0; second < 59; second++)
        {
            _clock.PassSeconds(1);
            Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.False);
        }

        _clock.PassSeconds(1);
        Assert.That(await _limiter.AdmittedAsync(entry, 10), Is.EqualTo(3));
    }

    [Test]
    public async Task A_call_leaves_a_minute_after_it_was_made_and_not_before()
    {
        var entry = LimitedKey.Entry(2);
        await _limiter.ChargeAsync(entry);
        _clock.PassSeconds(10);
        await _limiter.ChargeAsync(entry);

        _clock.PassSeconds(49.999);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 2, 0, 1)));
        _clock.PassSeconds(0.001);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 2, 0, 10)));
        Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.False);
    }

    [Test]
    public async Task Who_waits_as_long_as_it_is_told_is_admitted()
    {
        var random = new Random(1);
        var entry = LimitedKey.Entry(5);
        for (var round = 0; round < 2_000; round++)
        {
            _clock.Advance(TimeSpan.FromTicks(random.NextInt64(TimeSpan.TicksPerSecond * 20)));
            var state = await _limiter.ChargeAsync(entry);
            Assert.That(state.ResetSeconds, Is.InRange(1, 60));
            if (state.IsAdmitted)
                continue;

            _clock.PassSeconds(state.ResetSeconds);
            // Clocks are cut to milliseconds.
            _clock.Advance(TimeSpan.FromMilliseconds(1));
            Assert.That((await _limiter.ChargeAsync(entry)).IsAdmitted, Is.True, $"round {round}");
        }
    }

    [Test]
    public async Task A_cost_is_taken_whole_or_not_at_all()
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.ChargeAsync(entry, 7), Is.EqualTo(new LimitState(true, 10, 3, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 4), Is.EqualTo(new LimitState(false, 10, 3, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 3), Is.EqualTo(new LimitState(true, 10, 0, 60)));
    }

    [TestCase(11)]
    [TestCase(KeyTerms.MaximumRateLimit)]
    [TestCase(int.MaxValue)]
    public async Task More_than_the_limit_at_once_is_never_admitted(int cost)
    {
        var entry = LimitedKey.Entry(10);
        Assert.That(await _limiter.ChargeAsync(entry, cost), Is.EqualTo(new LimitState(false, 10, 10, 0)));
        Assert.That(await _limiter.ChargeAsync(entry, 10), Is.EqualTo(new LimitState(true, 10, 0, 60)));
    }

    [Test]
    public async Task A_cost_of_nothing_only_asks()
    {
        var entry = LimitedKey.Entry(2);
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 2, 2, 0)));
        await _limiter.AdmittedAsync(entry, 3);
        for (var call = 0; call < 5; call++)
            Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 2, 0, 60)));
    }

    [Test]
    public async Task To_look_counts_nothing()
    {
        var entry = LimitedKey.Entry(2);
        Assert.That(_limiter.Peek(entry), Is.EqualTo(new LimitState(true, 2, 2, 0)));
        await _limiter.ChargeAsync(entry);
        Assert.That(_limiter.Peek(entry), Is.EqualTo(new LimitState(true, 2, 1, 60)));
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 2, 0, 60)));
    }

    [Test]
    public async Task A_changed_limit_counts_at_once()
    {
        var held = LimitedKey.Of(5);
        var entry = held.At(1);
        Assert.That(await _limiter.AdmittedAsync(entry, 5), Is.EqualTo(5));

        entry = held.Changed(8);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 8, 2, 60)));

        entry = held.Changed(3);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(false, 3, 0, 60)));
        Assert.That(await _limiter.ChargeAsync(entry, 0), Is.EqualTo(new LimitState(true, 3, 0, 60)));

        entry = held.Changed(null);
        Assert.That(await _limiter.ChargeAsync(entry), Is.EqualTo(new LimitState(true, 200, 193, 60)));
    }

    [Test]
    public async Task A_rotation_does_not_refill()
    {
        var held = LimitedKey.Of(5);
        await _limiter.AdmittedAsync(held.At(1), 4);
        held.Rotate(60, HeldKey.Start);
        Assert.That(await _limiter.AdmittedAsync(held.At(2), 5), Is.EqualTo(1));
        Assert.That(_limiter.Meters, Is.EqualTo(1));
    }

    [Test]
    public async Task Keys_do_not_count_for_one_another()
    {
        var (one, other) = (LimitedKey.Entry(3), LimitedKey.Entry(3));
        Assert.That(await _limiter.AdmittedAsync(one, 10), Is.EqualTo(3));
        Assert.That(await _limiter.AdmittedAsync(other, 10), Is.EqualTo(3));
    }

    [Test]
    public async Task A_key_that_rests_costs_no_memory_and_starts_anew()
    {
        var entry = LimitedKey.Entry(2);
        for (var round = 0; round < 5; round++)
        {
            Assert.That(await _limiter.AdmittedAsync(entry, 3), Is.EqualTo(2));
            _clock.PassSeconds(59);
            Assert.That(_limiter.Meters, Is.EqualTo(1));
            _clock.PassSeconds(121);
            Assert.That(_limiter.Meters, Is.Zero);
        }
    }

    [Test]
    public async Task A_clock_that_passes_the_32_bits_of_milliseconds_changes_nothing()
    {
        var entry = LimitedKey.Entry(3);
        _clock.Advance(TimeSpan.FromMilliseconds(uint.MaxValue - 30_000d));
        Assert.That(await _limiter.AdmittedAsync(entry, 5), Is.EqualTo(3));
        _clock.PassSeconds(59.999);
        Assert.That(await _limiter.AdmittedAsync(entry, 5), Is.Zero);
        _clock.PassSeconds(0.001);
        Assert.That(await _limiter.AdmittedAsync(entry, 5), Is.EqualTo(3));
    }

    [Test]
    public async Task Many_threads_are_admitted_exactly_as_often_as_one()
    {
        const int Limit = 5_000;
        var held = LimitedKey.Of(Limit);
        var entries = Enumerable.Range(1, 4).Select(asOf => held.At(asOf)).ToArray();
        var admitted = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(async () =>
        {
            for (var call = 0; call < Limit / 4; call++)
            {
                if ((await _limiter.ChargeAsync(entries[(thread + call) % entries.Length])).IsAdmitted)
                    Interlocked.Increment(ref admitted);
            }
        })));
        Assert.That(admitted, Is.EqualTo(Limit));
    }

    [Test]
    public async Task Meters_that_retire_under_calls_lose_none()
    {
        // Each round the sweep meets callers who have just found the meter.
        var entry = LimitedKey.Entry(10);
        for (var round = 0; round < 300; round++)
        {
            _clock.PassSeconds(59.5);
            var admitted = 0;
            var callers = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
            {
                for (var call = 0; call < 10; call++)
                {
                    if ((await _limiter.ChargeAsync(entry)).IsAdmitted)
                        Interlocked.Increment(ref admitted);
                }
            })).ToList();
            _clock.PassSeconds(0.5);
            await Task.WhenAll(callers);
            Assert.That(admitted, Is.EqualTo(10), $"round {round}");
            _clock.PassSeconds(60);
        }
    }
}
