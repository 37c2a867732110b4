using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Limits;

/// <summary>How much a node leases and for how long, by what it used lately (docs/decisions/0010).</summary>
internal sealed class LeaseLifeTests
{
    private const int Limit = 10_000;
    private const int Thousandth = 10;

    private static readonly TimeSpan Short = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(10);

    private FakeTimeProvider _clock = null!;
    private FakeSharedLimits _shared = null!;
    private RateLimiter _limiter = null!;
    private KeyEntry _entry = null!;

    private (int Wanted, TimeSpan Life) Last => (_shared.Asked[^1].Wanted, _shared.Asked[^1].Life);

    [SetUp]
    public void MakeLimiter()
    {
        _clock = LimitedKey.Clock();
        _shared = new FakeSharedLimits(_clock);
        _limiter = new RateLimiter(new LimitOptions(), _clock, _shared);
        _entry = LimitedKey.Entry(Limit);
    }

    [TearDown]
    public void EndLimiter() => _limiter.Dispose();

    [Test]
    public async Task A_slow_key_leases_for_ten_seconds_what_it_used_in_the_last_ten()
    {
        await CallAsync(calls: 5, apart: 1.5);
        Assert.That(Last, Is.EqualTo((4, Long)));
    }

    [Test]
    public async Task A_long_lease_is_used_for_ten_seconds_and_no_longer()
    {
        await CallAsync(calls: 2, apart: 0.2);
        _clock.PassSeconds(1);
        await _limiter.ChargeAsync(_entry);
        Assert.That(Last, Is.EqualTo((2, Long)));
        var asked = _shared.Asked.Count;

        _clock.PassSeconds(9.999);
        Assert.That(_limiter.ChargeAsync(_entry, 1).AsTask().IsCompletedSuccessfully, Is.True);
        Assert.That(_shared.Asked, Has.Count.EqualTo(asked + 1), "it was spent, and the next one fetched");
        _clock.PassSeconds(10);
        await _limiter.ChargeAsync(_entry);
        Assert.That(_shared.Asked, Has.Count.EqualTo(asked + 2));
    }

    [Test]
    public async Task A_key_that_uses_a_thousandth_in_a_second_leases_that_for_a_second()
    {
        await CallAsync(calls: 500, apart: 1.0 / 50);
        Assert.That(Last, Is.EqualTo((Thousandth, Short)));
    }

    [Test]
    public async Task A_key_that_was_not_used_for_ten_seconds_leases_one_token_for_a_second()
    {
        await CallAsync(calls: 8, apart: 0.2);
        _clock.PassSeconds(12);
        await _limiter.ChargeAsync(_entry);
        Assert.That(Last, Is.EqualTo((1, Short)));
    }

    [Test]
    public async Task When_a_tenth_is_taken_leases_live_for_a_second_and_hold_what_was_used_in_one()
    {
        await CallAsync(calls: 20, apart: 0.25);
        Assert.That(Last.Life, Is.EqualTo(Long));
        _shared.Take(_entry.Id, Limit, Limit / 10, Limit / 10);
        _clock.PassSeconds(2);
        await CallAsync(calls: 40, apart: 0.25);
        Assert.That(Last.Life, Is.EqualTo(Short));
        // To the bucket of a second.
        Assert.That(Last.Wanted, Is.InRange(1, 8));
    }

    [Test]
    public async Task Another_limit_begins_as_a_new_one()
    {
        var held = LimitedKey.Of(Limit);
        _entry = held.At(1);
        await CallAsync(calls: 5, apart: 1.5);
        await _limiter.ChargeAsync(held.Changed(5_000));
        Assert.That(Last, Is.EqualTo((5, Short)));
    }

    [Test]
    public async Task Many_nodes_that_use_little_do_not_take_it_from_each_other()
    {
        // A call a second at each of 40 nodes: 2 400 a minute of 10 000. A thousandth of the limit for each would be 24
        // 000.
        var nodes = Enumerable.Range(0, 40).Select(_ => new RateLimiter(new LimitOptions(), _clock, _shared)).ToList();
        for (var second = 0; second < 200; second++)
        {
            foreach (var node in nodes)
                Assert.That((await node.ChargeAsync(_entry)).IsAdmitted, Is.True, $"second {second}");
            _clock.PassSeconds(1);
        }

        Assert.That(_shared.Take(_entry.Id, Limit, 0, 0).Remaining, Is.GreaterThan(Limit / 2));
        nodes.ForEach(node => node.Dispose());
    }

    [TestCase(10_000)]
    [TestCase(100_000)]
    [TestCase(10_000_000)]
    public async Task A_key_with_four_calls_a_second_asks_seldom(int limit)
    {
        _entry = LimitedKey.Entry(limit);
        await CallAsync(calls: 2_400, apart: 0.25);
        Assert.That(_shared.Asked, Has.Count.LessThan(limit == 10_000 ? 0.12 * 2_400 : 0.04 * 2_400));
    }

    [TestCase(1_000)]
    [TestCase(5_000)]
    [TestCase(50_000)]
    public async Task Whatever_nodes_hold_and_for_how_long_no_minute_has_more_than_the_limit(int limit)
    {
        var (fullest, lives) = (0, new HashSet<TimeSpan>());
        for (var seed = 0; seed < 30; seed++)
        {
            var run = await RunAsync(new Random(seed), limit);
            Assert.That(run.Fullest, Is.LessThanOrEqualTo(limit), $"seed {seed}");
            fullest = Math.Max(fullest, run.Fullest);
            lives.UnionWith(run.Lives);
        }

        Assert.That(fullest, Is.GreaterThan(0.9 * limit), "the limit was reached");
        Assert.That(lives, Is.EquivalentTo(new[] { Short, Long }));
    }

    // Nodes that are slow for a while, then busy all at once, and idle in between, so that leases of both kinds are
    // held at any time.
    private static async Task<(int Fullest, IEnumerable<TimeSpan> Lives)> RunAsync(Random random, int limit)
    {
        var clock = LimitedKey.Clock();
        var shared = new FakeSharedLimits(clock);
        var entry = LimitedKey.Entry(limit);
        var nodes = Enumerable.Range(0, 1 + random.Next(4)).Select(_ => new RateLimiter(new LimitOptions(), clock, shared)).ToList();
        var admitted = new List<(TimeSpan At, int Cost)>();
        var now = TimeSpan.Zero;
        for (var phase = 0; phase < 30; phase++)
        {
            var isBusy = random.Next(3) == 0;
            for (var call = 0; call < (isBusy ? 400 : 40); call++)
            {
                var pause = TimeSpan.FromMilliseconds(isBusy ? random.Next(20) : random.Next(1_500));
                now += pause;
                clock.Advance(pause);
                var cost = isBusy ? Math.Max(1, limit / 500) : 1;
                if ((await nodes[random.Next(nodes.Count)].ChargeAsync(entry, cost)).IsAdmitted)
                    admitted.Add((now, cost));
            }
        }

        nodes.ForEach(node => node.Dispose());
        var (fullest, sum, first) = (0, 0, 0);
        foreach (var call in admitted)
        {
            sum += call.Cost;
            while (call.At - admitted[first].At >= TimeSpan.FromSeconds(60))
                sum -= admitted[first++].Cost;
            fullest = Math.Max(fullest, sum);
        }

        return (fullest, shared.Asked.Select(asked => asked.Life));
    }

    private async Task CallAsync(int calls, double apart)
    {
        for (var call = 0; call < calls; call++)
        {
            Assert.That((await _limiter.ChargeAsync(_entry)).IsAdmitted, Is.True);
            _clock.PassSeconds(apart);
        }
    }
}
