using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Mira.Application.Background;

/// <summary>
/// The one timer of the background loops of a process. It wakes the loops that are due, and none that has nothing to
/// do, so that a service that nobody calls wakes once a second and not once for each loop.
/// </summary>
internal sealed class LoopTimer(TimeProvider clock)
{
    /// <summary>From one beat to the next. A loop begins up to half of it early or late.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly ConditionalWeakTable<TimeProvider, LoopTimer> OfClocks = [];

    private readonly Lock _lock = new();
    private readonly List<Beat> _beats = [];
    private IDisposable? _timer;

    /// <summary>All who go by one clock share its timer.</summary>
    public static LoopTimer Of(TimeProvider clock) => OfClocks.GetValue(clock, key => new LoopTimer(key));

    public Beat Join(TimeSpan interval, Func<bool>? hasWork)
    {
        lock (_lock)
        {
            var beat = new Beat(this, interval, hasWork, clock.GetTimestamp());
            _beats.Add(beat);
            _timer ??= IsReal(clock) ? new OwnThread(Strike) : clock.CreateTimer(_ => Strike(), null, Interval, Interval);
            return beat;
        }
    }

    // The clock of a test is moved manually, and only its own timers follow.
    private static bool IsReal(TimeProvider clock) => clock.GetType().DeclaringType == typeof(TimeProvider);

    private void Leave(Beat beat)
    {
        lock (_lock)
        {
            _beats.Remove(beat);
            if (_beats.Count > 0)
                return;

            _timer?.Dispose();
            _timer = null;
        }
    }

    private void Strike()
    {
        lock (_lock)
        {
            foreach (var beat in _beats)
                beat.Strike(clock);
        }
    }

    // A timer of the platform wakes a worker of the thread pool for each beat, which then spins for more work: most of
    // what a service at rest would cost.
    private sealed class OwnThread : IDisposable
    {
        private readonly AutoResetEvent _end = new(false);

        public OwnThread(Action strike) => new Thread(() =>
        {
            while (!_end.WaitOne(Interval))
                strike();
            _end.Dispose();
        })
        { IsBackground = true, Name = "loops" }.Start();

        public void Dispose() => _end.Set();
    }

    /// <summary>The turns of one loop.</summary>
    internal sealed class Beat(LoopTimer timer, TimeSpan interval, Func<bool>? hasWork, long began) : IDisposable
    {
        // One turn waits for a loop that is at work; more would follow one another at once.
        private readonly Channel<bool> _turn = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        private long _last = began;

        public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _turn.Reader.ReadAsync(cancellationToken);

        public void Strike(TimeProvider clock)
        {
            var now = clock.GetTimestamp();
            if (clock.GetElapsedTime(_last, now) < interval - (Interval / 2) || !HasWork())
                return;

            _last = now;
            _turn.Writer.TryWrite(true);
        }

        public void Dispose() => timer.Leave(this);

        // A loop that cannot say takes its turn.
        private bool HasWork()
        {
            try
            {
                return hasWork?.Invoke() ?? true;
            }
            catch (Exception)
            {
                return true;
            }
        }
    }
}
