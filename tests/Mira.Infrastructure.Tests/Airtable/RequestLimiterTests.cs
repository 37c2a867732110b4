using Microsoft.Extensions.Time.Testing;
using Mira.Infrastructure.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

internal sealed class RequestLimiterTests
{
    private const int Limit = 5;

    private static readonly AirtableOptions Options = new("token-of-nobody", "app00000000000000", "API Keys", new Uri("http://localhost/"));

    private FakeTimeProvider _clock = null!;
    private RequestLimiter _pace = null!;

    [SetUp]
    public void MakePace()
    {
        _clock = new FakeTimeProvider();
        _pace = new RequestLimiter(Options, _clock);
    }

    [TearDown]
    public void DropPace() => _pace.Dispose();

    [Test]
    public async Task A_fresh_process_lets_nothing_go_in_its_first_second()
    {
        var turn = Enter();

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(turn.IsCompleted, Is.False);
        _clock.Advance(TimeSpan.FromSeconds(0.1));
        (await turn).Dispose();
    }

    // A call arrives at any moment between its going and its answer; the pace cannot know when.
    [Test]
    public async Task No_second_sees_more_calls_than_the_limit_however_long_they_are_on_their_way([Range(1, 12)] int seed)
    {
        var random = new Random(seed);
        var slowest = random.Next(1, 3_000);
        List<Going> going = [];
        List<TimeSpan> arrivals = [];
        var origin = _clock.GetTimestamp();
        var waiting = new List<Task<IDisposable>>();
        for (var step = 0; step < 2_000; step++)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(random.Next(1, 30)));
            var now = _clock.GetElapsedTime(origin);
            while (waiting.Count < 10)
                waiting.Add(Enter(random.Next(2) == 0 ? CallPriority.Change : CallPriority.Background));
            foreach (var turn in waiting.Where(turn => turn.IsCompleted).ToList())
            {
                waiting.Remove(turn);
                var travel = TimeSpan.FromMilliseconds(random.Next(0, slowest));
                arrivals.Add(now + (travel * random.NextDouble()));
                going.Add(new Going(await turn, now + travel));
            }

            foreach (var call in going.Where(call => call.AnsweredAt <= now).ToList())
            {
                going.Remove(call);
                call.Place.Dispose();
            }
        }

        arrivals.Sort();
        var closest = arrivals.Skip(Limit).Zip(arrivals, (later, earlier) => later - earlier).Min();
        Assert.That(closest, Is.GreaterThan(TimeSpan.FromSeconds(1)), $"{arrivals.Count} calls");
    }

    [Test]
    public async Task The_limit_is_used_to_the_full()
    {
        var count = 0;
        for (var second = 0; second <= 20; second++)
        {
            _clock.Advance(Options.Second);
            for (var call = 0; call < Limit; call++, count++)
                (await Enter()).Dispose();
        }

        Assert.That(Enter().IsCompleted, Is.False);
        Assert.That(count, Is.EqualTo(105));
    }

    [Test]
    public async Task Changes_go_before_everything_else_and_each_kind_in_its_order()
    {
        Task<IDisposable>[] others = [Enter(CallPriority.Background), Enter(CallPriority.Background), Enter(CallPriority.Background)];
        Task<IDisposable>[] changes = [.. Enumerable.Range(0, 4).Select(_ => Enter())];

        _clock.Advance(Options.Second);

        await Task.WhenAll(changes);
        await others[0];
        Assert.That(others[1].IsCompleted || others[2].IsCompleted, Is.False);
    }

    [Test]
    public async Task What_has_waited_for_ten_seconds_goes_before_changes()
    {
        _clock.Advance(Options.Second);
        Task<IDisposable>[] held = [.. Enumerable.Range(0, Limit).Select(_ => Enter())];
        var poll = Enter(CallPriority.Background);
        var change = Enter();
        (await held[0]).Dispose();
        _clock.Advance(Options.Second);
        (await change).Dispose();
        Assert.That(poll.IsCompleted, Is.False);

        _clock.Advance(TimeSpan.FromSeconds(9));
        (await poll).Dispose();
    }

    [Test]
    public async Task Changes_without_end_do_not_keep_polls_away()
    {
        var poll = Enter(CallPriority.Background);
        var changes = new Queue<Task<IDisposable>>();
        var origin = _clock.GetTimestamp();
        while (!poll.IsCompleted && _clock.GetElapsedTime(origin) < TimeSpan.FromMinutes(1))
        {
            while (changes.Count < 2 * Limit)
                changes.Enqueue(Enter());
            _clock.Advance(TimeSpan.FromSeconds(0.1));
            while (changes.TryPeek(out var first) && first.IsCompleted)
                (await changes.Dequeue()).Dispose();
        }

        Assert.That(_clock.GetElapsedTime(origin), Is.InRange(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(12)));
    }

    [Test]
    public async Task After_too_many_calls_nothing_goes_for_thirty_seconds()
    {
        _clock.Advance(Options.Second);
        var poll = Enter(CallPriority.Background);
        (await poll).Dispose();
        _pace.LockOut(null);

        var next = Enter(CallPriority.Background);
        _clock.Advance(TimeSpan.FromSeconds(29.9));
        Assert.That(next.IsCompleted, Is.False);
        Assert.That(_pace.LockedFor, Is.EqualTo(TimeSpan.FromSeconds(0.1)));
        _clock.Advance(TimeSpan.FromSeconds(0.1));

        (await next).Dispose();
        Assert.That(_pace.LockedFor, Is.EqualTo(TimeSpan.Zero));
    }

    [Test]
    public async Task A_change_does_not_wait_for_the_end_of_a_lock_out_also_when_it_waits_already()
    {
        var waiting = Enter();
        _pace.LockOut(null);
        _clock.Advance(TimeSpan.FromSeconds(10));

        var failures = new[] { await FailureOf(waiting), await FailureOf(Enter()) };

        Assert.That(failures.Select(failure => failure.Fate), Is.All.EqualTo(DeliveryState.NotSent));
        Assert.That(failures.Select(failure => failure.RetryAfter), Is.EqualTo([TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(20)]));
    }

    [Test]
    public void A_longer_lock_out_is_taken_from_Airtable_and_a_shorter_one_is_not()
    {
        _pace.LockOut(TimeSpan.FromSeconds(90));
        _pace.LockOut(TimeSpan.FromSeconds(1));

        Assert.That(_pace.LockedFor, Is.EqualTo(TimeSpan.FromSeconds(90)));
    }

    [Test]
    public async Task Who_is_cancelled_takes_no_place()
    {
        using var cancelled = new CancellationTokenSource();
        Task<IDisposable>[] given = [.. Enumerable.Range(0, Limit).Select(_ => _pace.EnterAsync(CallPriority.Change, cancelled.Token))];
        Task<IDisposable>[] others = [.. Enumerable.Range(0, Limit).Select(_ => Enter(CallPriority.Background))];
        await cancelled.CancelAsync();

        _clock.Advance(Options.Second);

        await Task.WhenAll(others);
        Assert.That(given.Select(turn => turn.IsCanceled), Is.All.True);
    }

    [Test]
    public async Task Taking_over_from_another_process_counts_as_having_used_the_second()
    {
        _clock.Advance(TimeSpan.FromMinutes(1));
        _pace.Restart();

        var turn = Enter();
        Assert.That(turn.IsCompleted, Is.False);
        _clock.Advance(Options.Second);
        await turn;
    }

    private Task<IDisposable> Enter(CallPriority urgency = CallPriority.Change) => _pace.EnterAsync(urgency, CancellationToken.None);

    private static async Task<AirtableException> FailureOf(Task call) => (await Assert.ThrowsAsync<AirtableException>(() => call))!;

    private sealed record Going(IDisposable Place, TimeSpan AnsweredAt);
}
