namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Turns for the calls of one base, in one process: whatever second Airtable looks at, it sees no more calls than it
/// allows. A place that a call took is free again a second after its answer came, because the call cannot have arrived
/// later than that; so it does not matter how long calls are on their way. After a refusal for too many calls nothing
/// goes for 30 s.
/// </summary>
public sealed class RequestLimiter : IDisposable
{
    /// <summary>What has waited so long goes before changes, or polls would starve under many of them.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan ShortestTimer = TimeSpan.FromMilliseconds(1);

    private readonly TimeProvider _clock;
    private readonly long _origin;
    private readonly int _limit;
    private readonly TimeSpan _second;
    private readonly TimeSpan _lockOut;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private readonly LinkedList<Waiter> _changes = new();
    private readonly LinkedList<Waiter> _others = new();

    /// <summary>When each place that no call holds is free; in order.</summary>
    private readonly Queue<TimeSpan> _free = new();

    private TimeSpan _lockedUntil;

    public RequestLimiter(AirtableOptions options, TimeProvider clock)
    {
        _clock = clock;
        _origin = clock.GetTimestamp();
        _limit = options.CallsPerSecond;
        _second = options.Second;
        _lockOut = options.LockOut;
        _timer = clock.CreateTimer(_ => Pump(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // Another process may have used this second up.
        for (var place = 0; place < _limit; place++)
            _free.Enqueue(_second);
    }

    /// <summary>How long nothing may go yet; zero when calls may.</summary>
    public TimeSpan LockedFor
    {
        get
        {
            lock (_lock)
                return Left();
        }
    }

    /// <summary>How many calls wait for their turn.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
                return _changes.Count + _others.Count;
        }
    }

    private TimeSpan Now => _clock.GetElapsedTime(_origin);

    /// <summary>Another process made the calls until now: it may have used this second up.</summary>
    public void Restart()
    {
        lock (_lock)
        {
            var free = _free.Count;
            _free.Clear();
            for (var place = 0; place < free; place++)
                _free.Enqueue(Now + _second);
        }
    }

    /// <summary>
    /// Who may call at all; null for everybody, where there is one process. Asked when the turn has come, which may be
    /// long after it was asked for.
    /// </summary>
    internal Func<bool>? HasRight { get; set; }

    /// <summary>Waits for a turn.</summary>
    /// <returns>The place, to be given back when the answer has come or is given up.</returns>
    /// <exception cref="AirtableException">Nothing may go, and a change does not wait so long.</exception>
    internal Task<IDisposable> EnterAsync(CallPriority urgency, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(this);
        lock (_lock)
        {
            if (urgency == CallPriority.Change && Left() is { Ticks: > 0 } left)
                return Task.FromException<IDisposable>(TooMany(left));
            waiter.Since = Now;
            waiter.Node = (urgency == CallPriority.Change ? _changes : _others).AddLast(waiter);
        }

        Pump();
        waiter.CancelBy(cancellationToken);
        return waiter.Turn.Task;
    }

    /// <summary>Airtable refused a call because there were too many.</summary>
    /// <param name="asked">What it asks for itself, where it does.</param>
    internal void LockOut(TimeSpan? asked)
    {
        List<Waiter> refused;
        TimeSpan left;
        lock (_lock)
        {
            var until = Now + (asked > _lockOut ? asked.Value : _lockOut);
            _lockedUntil = until > _lockedUntil ? until : _lockedUntil;
            left = Left();
            refused = [.. _changes];
            _changes.Clear();
        }

        foreach (var waiter in refused)
            waiter.Refuse(TooMany(left));
        Pump();
    }

    public void Dispose() => _timer.Dispose();

    private static AirtableException TooMany(TimeSpan left) =>
        new($"takes no call for another {Math.Ceiling(left.TotalSeconds)} s, after there were too many", DeliveryState.NotSent) { RetryAfter = left };

    private TimeSpan Left() => _lockedUntil > Now ? _lockedUntil - Now : TimeSpan.Zero;

    private void Leave()
    {
        lock (_lock)
            _free.Enqueue(Now + _second);
        Pump();
    }

    /// <summary>Lets in who may go now, and sets the timer for the next.</summary>
    private void Pump()
    {
        lock (_lock)
        {
            var now = Now;
            while (now >= _lockedUntil && _free.TryPeek(out var free) && now >= free && Next(now) is { } waiter)
            {
                waiter.Node!.List!.Remove(waiter.Node);
                if (waiter.Give(new Place(this)))
                    _free.Dequeue();
            }

            if (_changes.Count + _others.Count > 0 && _free.TryPeek(out var next))
            {
                var due = (next > _lockedUntil ? next : _lockedUntil) - now;
                _timer.Change(due > ShortestTimer ? due : ShortestTimer, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private Waiter? Next(TimeSpan now)
    {
        var other = _others.First?.Value;
        return other is not null && now - other.Since > Patience ? other : _changes.First?.Value ?? other;
    }

    private void Remove(Waiter waiter)
    {
        lock (_lock)
        {
            if (waiter.Node?.List is { } queue)
                queue.Remove(waiter.Node);
        }
    }

    private sealed class Waiter(RequestLimiter pace)
    {
        private CancellationTokenRegistration _cancellation;

        public TaskCompletionSource<IDisposable> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TimeSpan Since { get; set; }

        public LinkedListNode<Waiter>? Node { get; set; }

        public bool Give(IDisposable place)
        {
            _cancellation.Unregister();
            return Turn.TrySetResult(place);
        }

        public void Refuse(AirtableException refusal)
        {
            _cancellation.Unregister();
            Turn.TrySetException(refusal);
        }

        public void CancelBy(CancellationToken cancellationToken)
        {
            _cancellation = cancellationToken.UnsafeRegister(static (state, token) => ((Waiter)state!).Cancel(token), this);
            // It may have got its turn before this was set.
            if (Turn.Task.IsCompleted)
                _cancellation.Unregister();
        }

        private void Cancel(CancellationToken cancellationToken)
        {
            if (Turn.TrySetCanceled(cancellationToken))
                pace.Remove(this);
        }
    }

    private sealed class Place(RequestLimiter pace) : IDisposable
    {
        private bool _isLeft;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _isLeft, true))
                pace.Leave();
        }
    }
}
