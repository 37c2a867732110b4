namespace Mira.Application.Tests.Concurrency;

/// <summary>
/// One schedule: operations run on one thread, and at every await and at every call of a port the next one to go on
/// is drawn by the seed. The same seed gives the same schedule. What stands between two awaits runs as one step
/// (docs/decisions/0016).
/// </summary>
internal sealed class Schedule(int seed) : SynchronizationContext
{
    private const int MostSteps = 100_000;

    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(20);

    private readonly Lock _lock = new();
    private readonly List<Action> _ready = [];
    private readonly List<Task> _operations = [];
    private readonly List<Task> _queries = [];
    private int _parked;

    /// <summary>Draws the schedule, and whatever else an operation wants to be drawn.</summary>
    public Random Random { get; } = new(seed);

    // Some schedules go to and fro, some let one operation run far ahead, some hold one back.
    private int NewestFirst => seed % 4 * 30;

    /// <summary>Begins an operation; it runs when its turn is drawn.</summary>
    public void Begin(Func<Task> operation)
    {
        var done = new TaskCompletionSource();
        _operations.Add(done.Task);
        Post(_ => _ = RunAsync(), null);

        async Task RunAsync()
        {
            try
            {
                await operation();
                done.SetResult();
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
        }
    }

    /// <summary>
    /// Completes when it is drawn. Who calls it without a context is a query on the thread pool: it goes on within
    /// the step, and no step is drawn before it has come here, so that the pool's own order plays no part.
    /// </summary>
    public Task PauseAsync()
    {
        var pause = new TaskCompletionSource();
        var isQuery = Current != this;
        Add(() =>
        {
            if (isQuery)
                Interlocked.Decrement(ref _parked);
            pause.SetResult();
        });
        if (isQuery)
            Interlocked.Increment(ref _parked);
        return pause.Task;
    }

    /// <summary>Watches a query that runs on the thread pool.</summary>
    public Task Watch(Task query)
    {
        _queries.Add(query);
        return query;
    }

    /// <summary>Draws step after step until every operation has ended.</summary>
    /// <exception cref="ScheduleException">An operation failed, or waits for ever.</exception>
    public void Run()
    {
        var before = Current;
        try
        {
            for (var step = 0; _operations.Exists(operation => !operation.IsCompleted); step++)
            {
                if (step == MostSteps)
                    throw new ScheduleException("the schedule does not end");
                AwaitQueries();
                // A query that has ended may still be about to say so.
                SpinWait.SpinUntil(() => HasSteps, LongestSilence);
                Draw()();
            }
        }
        finally
        {
            SetSynchronizationContext(before);
        }

        if (_operations.Find(operation => operation.IsFaulted) is { Exception.InnerException: { } failure })
            throw failure as ScheduleException ?? new ScheduleException(failure.ToString());
    }

    public override void Post(SendOrPostCallback d, object? state) => Add(() =>
    {
        SetSynchronizationContext(this);
        d(state);
    });

    private bool HasSteps
    {
        get
        {
            lock (_lock)
                return _ready.Count > 0;
        }
    }

    private void Add(Action step)
    {
        lock (_lock)
            _ready.Add(step);
    }

    private Action Draw()
    {
        lock (_lock)
        {
            if (_ready.Count == 0)
                throw new ScheduleException("every operation waits for another one");

            var next = Random.Next(100) < NewestFirst ? _ready.Count - 1 : Random.Next(_ready.Count);
            var step = _ready[next];
            _ready.RemoveAt(next);
            // A pause ends without a context, or its continuation would be sent to the thread pool.
            SetSynchronizationContext(null);
            return step;
        }
    }

    // A query that is not at the port is on its way there, or at its end.
    private void AwaitQueries()
    {
        _queries.RemoveAll(query => query.IsCompleted);
        if (_queries.Count > 0 && !SpinWait.SpinUntil(IsKnown, LongestSilence))
            throw new ScheduleException("a query does not come to the ledger");

        bool IsKnown() => Volatile.Read(ref _parked) > 0 || _queries.TrueForAll(query => query.IsCompleted);
    }
}

/// <summary>What must not happen has happened in a schedule.</summary>
internal sealed class ScheduleException(string message) : Exception(message);

/// <summary>Runs a test under many schedules.</summary>
internal static class Schedules
{
    private const int Least = 10_000;

    /// <summary>
    /// <c>MIRA_ROUNDS</c> asks for more of them, a thousand for each round; <c>MIRA_SEED</c> repeats one.
    /// </summary>
    private static int Count => Math.Max(Least, 1_000 * Number("MIRA_ROUNDS"));

    /// <summary>Fails with the seed of the first schedule in which something happens that must not.</summary>
    public static void AllPass(Action<Schedule> test)
    {
        if (FirstFailure(test) is { } failure)
            Assert.Fail($"{failure.Message}; repeat it with MIRA_SEED={failure.Seed}");
    }

    /// <summary>Demands that a planted race is found, and that its seed shows it again.</summary>
    public static void Find(Action<Schedule> planted)
    {
        var failure = FirstFailure(planted);
        Assert.That(failure, Is.Not.Null, "the planted race is found");
        TestContext.Out.WriteLine($"seed {failure!.Seed}: {failure.Message}");
        Assert.That(Run(planted, failure.Seed), Is.EqualTo(failure), "the seed repeats it");
    }

    private static Failure? FirstFailure(Action<Schedule> test)
    {
        if (Number("MIRA_SEED") is var seed and > 0)
            return Run(test, seed);

        for (seed = 1; seed <= Count; seed++)
        {
            if (Run(test, seed) is { } failure)
                return failure;
        }

        return null;
    }

    private static Failure? Run(Action<Schedule> test, int seed)
    {
        try
        {
            test(new Schedule(seed));
            return null;
        }
        catch (ScheduleException exception)
        {
            return new Failure(seed, exception.Message);
        }
    }

    private static int Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? number : 0;

    private sealed record Failure(int Seed, string Message);
}
