using System.Net;
using Microsoft.Extensions.Time.Testing;
using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>How often an address may present keys that are none.</summary>
internal sealed class FailureLimiterTests
{
    private readonly FakeTimeProvider _clock = LimitedKey.Clock();

    [Test]
    public void The_limit_is_reached_exactly_and_frees_up_after_a_minute()
    {
        var limiter = new FailureLimiter(new LimitOptions(), _clock);
        var address = IPAddress.Parse("192.0.2.1");
        for (var failure = 0; failure < 60; failure++)
            Assert.That(limiter.Note(address), Is.Zero, $"{failure}");
        Assert.That(limiter.Note(address), Is.EqualTo(60));

        _clock.PassSeconds(59.5);
        Assert.That(limiter.Note(address), Is.EqualTo(1));
        _clock.PassSeconds(0.5);
        Assert.That(limiter.Note(address), Is.Zero);
    }

    [TestCase("192.0.2.1", "192.0.2.1", true)]
    [TestCase("192.0.2.1", "192.0.2.2", false)]
    [TestCase("192.0.2.1", "::ffff:192.0.2.1", true)]
    [TestCase("::ffff:192.0.2.1", "::ffff:192.0.2.2", false)]
    [TestCase("2001:db8:1:2::1", "2001:db8:1:2:ffff::", true)]
    [TestCase("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [TestCase("fe80::1%2", "fe80::1%3", true)]
    [TestCase("::", "0.0.0.0", false)]
    public void One_subscriber_is_one_source(string one, string other, bool isSame)
    {
        var limiter = new FailureLimiter(new LimitOptions { Failures = 1 }, _clock);
        limiter.Note(IPAddress.Parse(one));
        Assert.That(limiter.Note(IPAddress.Parse(other)) > 0, Is.EqualTo(isSame));
    }

    [Test]
    public void Who_has_no_address_is_one_source_too()
    {
        var limiter = new FailureLimiter(new LimitOptions { Failures = 2 }, _clock);
        Assert.That(new[] { limiter.Note(null), limiter.Note(null), limiter.Note(null) }, Is.EqualTo(new[] { 0, 0, 60 }));
        Assert.That(limiter.Note(IPAddress.Any), Is.Zero);
    }

    [Test]
    public void Without_limits_nobody_fails_too_often()
    {
        var limiter = new FailureLimiter(new LimitOptions { Enabled = false, Failures = 1 }, _clock);
        for (var failure = 0; failure < 10; failure++)
            Assert.That(limiter.Note(IPAddress.Loopback), Is.Zero);
    }

    [Test]
    public void A_million_addresses_take_the_memory_of_a_few()
    {
        var limiter = new FailureLimiter(new LimitOptions { Failures = 1 }, _clock);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var address = 0; address < 1_000_000; address++)
            limiter.Note(new IPAddress(address));
        Assert.That(GC.GetTotalMemory(forceFullCollection: true) - before, Is.LessThan(20_000_000));
        GC.KeepAlive(limiter);
    }

    [Test]
    public void An_address_that_comes_back_when_the_clock_has_gone_round_is_not_refused_for_what_it_did_then()
    {
        var limiter = new FailureLimiter(new LimitOptions { Failures = 1 }, _clock);
        limiter.Note(IPAddress.Loopback);
        _clock.Advance(TimeSpan.FromMilliseconds((double)uint.MaxValue + 1_000));
        Assert.That(limiter.Note(IPAddress.Loopback), Is.Zero);
    }

    [Test]
    public async Task Many_threads_fail_exactly_as_often_as_one()
    {
        var limiter = new FailureLimiter(new LimitOptions { Failures = 1_000 }, _clock);
        var counted = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var failure = 0; failure < 500; failure++)
            {
                if (limiter.Note(IPAddress.Loopback) == 0)
                    Interlocked.Increment(ref counted);
            }
        })));
        Assert.That(counted, Is.EqualTo(1_000));
    }

    [Test]
    public async Task More_addresses_than_are_remembered_take_no_more_room_and_begin_anew()
    {
        const int capacity = 64;
        var limiter = new FailureLimiter(new LimitOptions { Failures = 1 }, _clock, capacity);
        limiter.Note(IPAddress.Loopback);
        Assert.That(limiter.Note(IPAddress.Loopback), Is.Positive);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (var address = 0; address < 5_000; address++)
                limiter.Note(new IPAddress((thread * 100_000) + address));
        })));

        // Threads that add at once may each be one ahead of what is put out.
        Assert.That(limiter.Sources, Is.LessThanOrEqualTo(capacity + 8));
        Assert.That(limiter.Note(IPAddress.Loopback), Is.Zero, "long forgotten");
    }
}
