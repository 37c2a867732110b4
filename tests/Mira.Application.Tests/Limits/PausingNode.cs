using Mira.Application.Limits;
using Mira.Application.Verification;

namespace Mira.Application.Tests.Limits;

/// <summary>
/// A node that does one thing at a time, in an order drawn at random, and nothing while it is paused: what comes for it
/// meanwhile waits. Time passes only between the things it does.
/// </summary>
internal sealed class PausingNode(RateLimiter limiter, KeyEntry entry, Random random) : SynchronizationContext
{
    private readonly List<(SendOrPostCallback Do, object? State)> _ready = [];

    public bool IsPaused { get; set; }

    public bool IsIdle => _ready.Count == 0;

    /// <summary>Calls that have not been answered.</summary>
    public int Open { get; private set; }

    /// <summary>Begins a call, and tells what became of it in the moment it is decided.</summary>
    public void Begin(int cost, Action<LimitState> decided)
    {
        Open++;
        Post(
            _ => limiter.ChargeAsync(entry, cost).AsTask().ContinueWith(
                call =>
                {
                    Open--;
                    if (call.IsCompletedSuccessfully)
                        decided(call.Result);
                },
                CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default),
            null);
    }

    public override void Post(SendOrPostCallback d, object? state) => _ready.Add((d, state));

    /// <summary>Does one of the things that wait for it.</summary>
    public void Step()
    {
        if (IsPaused || IsIdle)
            return;

        var next = random.Next(_ready.Count);
        var (callback, state) = _ready[next];
        _ready.RemoveAt(next);
        SetSynchronizationContext(this);
        try
        {
            callback(state);
        }
        finally
        {
            SetSynchronizationContext(null);
        }
    }
}
