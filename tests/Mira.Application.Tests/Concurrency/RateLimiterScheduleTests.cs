using Microsoft.Extensions.Time.Testing;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Tests.Limits;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Concurrency;

/// <summary>
/// The rate limiter of three nodes under many schedules: no 60 seconds hold more than the limit, and every call is
/// answered.
/// </summary>
internal sealed class RateLimiterScheduleTests
{
    private const int Nodes = 3;

    private static readonly int[] Pauses = [100, 600, 1_100, 59_500];

    [TestCase(4)]
    [TestCase(1_000)]
    public void No_schedule_admits_more_than_the_limit(int limit) =>
        Schedules.AllPass(schedule => Run(schedule, limit, isTorn: false));

    [Test]
    public void A_window_that_is_read_and_written_apart_is_found() =>
        Schedules.Find(schedule => Run(schedule, limit: 4, isTorn: true));

    private static void Run(Schedule schedule, int limit, bool isTorn)
    {
        var clock = LimitedKey.Clock();
        var windows = new FakeSharedLimits(clock) { Going = schedule.PauseAsync, Coming = schedule.PauseAsync };
        var key = LimitedKey.Of(limit);
        // Most of a large limit is used already, so that the rest is fought for.
        windows.Take(key.Id, limit, limit - 4, limit - 4, TimeSpan.FromMinutes(10));
        clock.Advance(TimeSpan.FromSeconds(2));
        ISharedLimits shared = isTorn ? new TornLimits(windows, schedule) : windows;
        List<RateLimiter> limiters =
            [.. Enumerable.Range(0, Nodes).Select(_ => new RateLimiter(new LimitOptions(), clock, shared))];
        var admitted = new List<(DateTimeOffset At, int Cost)>();
        foreach (var limiter in limiters)
        {
            for (var caller = 0; caller < 2; caller++)
            {
                schedule.Begin(async () =>
                {
                    for (var call = 0; call < 2; call++)
                    {
                        await schedule.PauseAsync();
                        var cost = 1 + schedule.Random.Next(3);
                        try
                        {
                            if ((await limiter.ChargeAsync(key.At(1), cost)).IsAdmitted)
                                admitted.Add((clock.GetUtcNow(), cost));
                        }
                        catch (OverloadedException)
                        {
                            // Three answers in a row came too late.
                        }
                    }
                });
            }
        }

        schedule.Begin(() => PassTimeAsync(schedule, clock));
        try
        {
            schedule.Run();
        }
        finally
        {
            limiters.ForEach(limiter => limiter.Dispose());
        }

        foreach (var (at, _) in admitted)
        {
            var minute = admitted.Where(call => call.At >= at && call.At - at < TimeSpan.FromSeconds(60));
            var calls = minute.Sum(call => call.Cost);
            if (calls > 4)
                throw new ScheduleException($"{calls} tokens were used in 60 seconds, and 4 were left");
        }
    }

    private static async Task PassTimeAsync(Schedule schedule, FakeTimeProvider clock)
    {
        for (var time = 0; time < 6; time++)
        {
            await schedule.PauseAsync();
            clock.Advance(TimeSpan.FromMilliseconds(Pauses[schedule.Random.Next(Pauses.Length)]));
        }
    }

    /// <summary>The fault of a window that is read by one command and written by the next.</summary>
    private sealed class TornLimits(FakeSharedLimits windows, Schedule schedule) : ISharedLimits
    {
        public bool IsAvailable => true;

        public int NodesSeen => Nodes;

        public async ValueTask<Grant?> TakeAsync(
            KeyId key, int limit, int needed, int wanted, TimeSpan life, Settlement settlement = default)
        {
            await schedule.PauseAsync().ConfigureAwait(false);
            var left = windows.Take(key, limit, 0, 0, life, settlement).Remaining;
            await schedule.PauseAsync().ConfigureAwait(false);
            var tokens = left < needed ? 0 : Math.Min(left, wanted);
            return windows.Take(key, int.MaxValue, 0, tokens, life) with { Remaining = left - tokens };
        }
    }
}
