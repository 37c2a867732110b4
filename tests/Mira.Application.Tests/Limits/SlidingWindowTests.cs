using Mira.Application.Limits;

namespace Mira.Application.Tests.Limits;

/// <summary>The window beside a list of everything that was ever counted.</summary>
internal sealed class SlidingWindowTests
{
    private const long Minute = TimeSpan.TicksPerMinute;

    private static readonly int Repetitions = Rounds.Of(20);

    [TestCase(0)]
    [TestCase((uint.MaxValue - 90_000L) * TimeSpan.TicksPerMillisecond)]
    [TestCase((uint.MaxValue - 60_000L) * TimeSpan.TicksPerMillisecond)]
    [TestCase(3L * uint.MaxValue * TimeSpan.TicksPerMillisecond)]
    public void It_never_holds_less_than_the_last_minute_and_a_second_more_at_the_most(long start)
    {
        for (var seed = 0; seed < Repetitions; seed++)
        {
            var random = new Random(seed);
            var longest = random.Next(4) switch { 0 => 10, 1 => 900, 2 => 5_000, _ => 70_000 } * TimeSpan.TicksPerMillisecond;
            var window = new SlidingWindow();
            var counted = new Queue<(long At, int Count)>();
            var now = start + random.NextInt64(Minute);
            for (var step = 0; step < 2_000; step++)
            {
                now += random.NextInt64(longest);
                window.MoveTo(now);
                while (counted.TryPeek(out var oldest) && now - oldest.At >= Minute + TimeSpan.TicksPerSecond + (2 * TimeSpan.TicksPerMillisecond))
                    counted.Dequeue();
                var least = counted.Where(call => now - call.At < Minute).Sum(call => call.Count);
                Assert.That(window.Total, Is.InRange(least, counted.Sum(call => call.Count)), $"seed {seed}, step {step}");

                var release = window.UntilRelease(now);
                Assert.That(release, window.Total == 0 ? Is.Zero : Is.InRange(1, Minute), $"seed {seed}, step {step}");
                if (random.Next(3) > 0)
                {
                    var count = random.Next(1, 10);
                    window.Add(now, count);
                    counted.Enqueue((now, count));
                }
            }
        }
    }

    [Test]
    public void It_frees_up_when_it_says()
    {
        for (var seed = 0; seed < 50 * Repetitions; seed++)
        {
            var random = new Random(seed);
            var window = new SlidingWindow();
            var now = random.NextInt64(long.MaxValue / 4) / TimeSpan.TicksPerMillisecond * TimeSpan.TicksPerMillisecond;
            for (var call = 0; call < 20; call++)
            {
                now += random.Next(4_000) * TimeSpan.TicksPerMillisecond;
                window.MoveTo(now);
                window.Add(now, 1);
            }

            while (window.Total > 0)
            {
                var (before, release) = (window.Total, window.UntilRelease(now));
                window.MoveTo(now + release - TimeSpan.TicksPerMillisecond);
                Assert.That(window.Total, Is.EqualTo(before), $"seed {seed}");
                window.MoveTo(now += release);
                Assert.That(window.Total, Is.LessThan(before), $"seed {seed}");
            }
        }
    }

    [Test]
    public void It_knows_what_was_counted_lately()
    {
        var window = new SlidingWindow();
        Assert.That(window.Since(0, Minute), Is.Zero);
        for (var second = 0; second < 20; second++)
        {
            window.MoveTo(second * TimeSpan.TicksPerSecond);
            window.Add(second * TimeSpan.TicksPerSecond, 3);
        }

        var now = 19 * TimeSpan.TicksPerSecond;
        Assert.That(window.Since(now, TimeSpan.TicksPerSecond), Is.EqualTo(3));
        Assert.That(window.Since(now, 10 * TimeSpan.TicksPerSecond), Is.EqualTo(30));
        Assert.That(window.Since(now + (9 * TimeSpan.TicksPerSecond), 10 * TimeSpan.TicksPerSecond), Is.EqualTo(3));
        Assert.That(window.Since(now + (10 * TimeSpan.TicksPerSecond), 10 * TimeSpan.TicksPerSecond), Is.Zero);
    }

    [Test]
    public void A_call_between_two_milliseconds_stays_its_whole_minute()
    {
        var window = new SlidingWindow();
        window.Add(1, 1);
        window.MoveTo(Minute);
        Assert.That(window.Total, Is.EqualTo(1));
        window.MoveTo(Minute + TimeSpan.TicksPerMillisecond);
        Assert.That(window.Total, Is.Zero);
    }

    [Test]
    public void It_is_empty_after_a_rest_however_long()
    {
        for (var rest = Minute; rest < 200 * TimeSpan.TicksPerDay; rest += 7 * TimeSpan.TicksPerHour)
        {
            var window = new SlidingWindow();
            window.Add(0, 1);
            window.MoveTo(rest);
            Assert.That(window.Total, Is.Zero, $"{TimeSpan.FromTicks(rest)}");
        }

        var exact = new SlidingWindow();
        exact.Add(0, 1);
        exact.MoveTo((uint.MaxValue + 1L) * TimeSpan.TicksPerMillisecond);
        Assert.That(exact.Total, Is.Zero);
    }
}
