using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Mira.Application.Background;
using Moq;

namespace Mira.Application.Tests.Background;

public sealed class BackgroundLoopsTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly FakeTimeProvider _clock = new();
    private readonly LoopBoard _board = new(Mock.Of<ILogger<LoopBoard>>());
    private GivenLoops _loops = null!;

    [TearDown]
    public void Dispose() => _loops.Dispose();

    [Test]
    public async Task A_round_comes_after_each_interval()
    {
        var work = new Rounds();
        await StartAsync(new Loop("one", Interval, work.RunAsync));

        await UntilAsync(() => work.Count >= 3);

        Assert.That(_board.IsFailing, Is.False);
        await _loops.StopAsync(CancellationToken.None);
        Assert.That(_loops.ExecuteTask!.IsCompletedSuccessfully);
    }

    [Test]
    public async Task A_loop_that_starts_at_once_waits_for_no_clock()
    {
        var work = new Rounds();
        await StartAsync(new Loop("one", Interval, work.RunAsync) { StartsAtOnce = true });
        await work.First;
    }

    [TestCase(typeof(InvalidOperationException))]
    [TestCase(typeof(KeyNotFoundException))]
    [TestCase(typeof(OperationCanceledException))]
    [TestCase(typeof(OutOfMemoryException))]
    public async Task Whatever_a_round_throws_is_counted_and_shown_and_the_loop_goes_on(Type kind)
    {
        var work = new Rounds { Fault = () => (Exception)Activator.CreateInstance(kind)! };
        var other = new Rounds();
        await StartAsync(new Loop("one", Interval, work.RunAsync), new Loop("other", Interval, other.RunAsync));

        await UntilAsync(() => work.Count >= 3);
        Assert.That(_board.IsFailing);
        Assert.That(_board.Enter("one").Failures, Is.GreaterThanOrEqualTo(2));
        Assert.That(_board.Enter("other"), Has.Property("Failures").Zero.And.Property("IsFailing").False);
        var before = other.Count;
        await UntilAsync(() => other.Count > before);

        work.Fault = null;
        await UntilAsync(() => !_board.IsFailing);
        await _loops.StopAsync(CancellationToken.None);
        Assert.That(_loops.ExecuteTask!.IsCompletedSuccessfully, "the host saw none of it");
    }

    [Test]
    public async Task A_round_that_throws_before_its_first_wait_is_no_different()
    {
        await StartAsync(new Loop("one", Interval, (Func<CancellationToken, Task>)(_ => throw new InvalidOperationException())) { StartsAtOnce = true });
        await UntilAsync(() => _board.Enter("one").Failures >= 3);
        Assert.That(_loops.ExecuteTask!.IsCompleted, Is.False);
    }

    [Test]
    public void The_pause_grows_with_each_failure_and_is_never_the_same_on_two_nodes_but_no_longer_than_a_quarter_over_the_longest()
    {
        Assert.That(BackgroundLoops.PauseAfter(1), Is.InRange(0.75 * BackgroundLoops.ShortestPause, 1.25 * BackgroundLoops.ShortestPause));
        Assert.That(BackgroundLoops.PauseAfter(3), Is.InRange(3 * BackgroundLoops.ShortestPause, 5 * BackgroundLoops.ShortestPause));
        foreach (var failures in new[] { 10, 1_000, int.MaxValue })
            Assert.That(BackgroundLoops.PauseAfter(failures), Is.InRange(0.75 * BackgroundLoops.LongestPause, 1.25 * BackgroundLoops.LongestPause));
        Assert.That(Enumerable.Range(0, 20).Select(_ => BackgroundLoops.PauseAfter(10)).Distinct().Count(), Is.GreaterThan(1));
    }

    [Test]
    public async Task A_loop_with_nothing_to_do_is_not_run_and_one_that_has_work_again_is_run_within_a_second()
    {
        var hasWork = false;
        var work = new Rounds();
        var other = new Rounds();
        await StartAsync(new Loop("one", Interval, work.RunAsync) { HasWork = () => hasWork }, new Loop("other", Interval, other.RunAsync));

        await UntilAsync(() => other.Count >= 3);
        Assert.That(work.Count, Is.Zero);

        hasWork = true;
        _clock.Advance(LoopTimer.Interval);
        await work.First;
    }

    [Test]
    public async Task A_loop_that_cannot_say_whether_it_has_work_is_run_and_so_are_the_others()
    {
        var work = new Rounds();
        var other = new Rounds();
        await StartAsync(new Loop("one", Interval, work.RunAsync) { HasWork = () => throw new InvalidOperationException() }, new Loop("other", Interval, other.RunAsync));
        await UntilAsync(() => work.Count >= 2 && other.Count >= 2);
    }

    [Test]
    public async Task All_loops_of_a_clock_share_one_timer_which_ends_with_the_last_of_them()
    {
        var clock = new CountingClock();
        var rounds = Enumerable.Range(0, 5).Select(_ => new Rounds()).ToList();
        using var first = new GivenLoops(clock, _board, [new Loop("first", Interval, rounds[0].RunAsync)]);
        using var others = new GivenLoops(clock, _board, [.. rounds.Skip(1).Select((one, index) => new Loop($"{index}", Interval * (index + 1), one.RunAsync))]);
        await first.StartAsync(CancellationToken.None);
        await others.StartAsync(CancellationToken.None);
        while (rounds.Any(one => one.Count < 2))
        {
            clock.Advance(LoopTimer.Interval);
            await Task.Yield();
        }

        Assert.That(clock.Running, Is.EqualTo(1));
        await first.StopAsync(CancellationToken.None);
        Assert.That(clock.Running, Is.EqualTo(1));
        await others.StopAsync(CancellationToken.None);
        Assert.That(clock.Running, Is.Zero);
    }

    [Test]
    public async Task A_round_that_lasts_says_itself_that_it_works()
    {
        var isBroken = true;
        await StartAsync(new Loop("one", Interval, async (record, cancellationToken) =>
        {
            if (isBroken)
                throw new InvalidOperationException();
            record.NoteSuccess();
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
        }));
        await UntilAsync(() => _board.IsFailing);

        isBroken = false;
        await UntilAsync(() => !_board.IsFailing);
        await _loops.StopAsync(CancellationToken.None);
        Assert.That(_loops.ExecuteTask!.IsCompletedSuccessfully);
    }

    private Task StartAsync(params Loop[] loops)
    {
        _loops = new GivenLoops(_clock, _board, loops);
        return _loops.StartAsync(CancellationToken.None);
    }

    private async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            patience.Token.ThrowIfCancellationRequested();
            _clock.Advance(TimeSpan.FromMilliseconds(500));
            await Task.Yield();
        }
    }

    private sealed class CountingClock : FakeTimeProvider
    {
        private int _running;

        public int Running => Volatile.Read(ref _running);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Interlocked.Increment(ref _running);
            return new Counted(this, base.CreateTimer(callback, state, dueTime, period));
        }

        private sealed class Counted(CountingClock clock, ITimer timer) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(dueTime, period);

            public void Dispose()
            {
                Interlocked.Decrement(ref clock._running);
                timer.Dispose();
            }

            public ValueTask DisposeAsync()
            {
                Dispose();
                return default;
            }
        }
    }

    private sealed class GivenLoops(TimeProvider clock, LoopBoard board, Loop[] loops) : BackgroundLoops(clock, board)
    {
        protected override IEnumerable<Loop> Loops() => loops;
    }

    private sealed class Rounds
    {
        private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _count;

        public int Count => Volatile.Read(ref _count);

        public Task First => _first.Task;

        public Func<Exception>? Fault { get; set; }

        public Task RunAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _count);
            _first.TrySetResult();
            return Fault is { } fault ? Task.FromException(fault()) : Task.CompletedTask;
        }
    }
}
