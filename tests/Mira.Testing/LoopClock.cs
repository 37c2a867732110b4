using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;

namespace Mira.Testing;

/// <summary>A clock that tells when somebody waits for it. A test that moves it then loses no tick.</summary>
public sealed class LoopClock() : FakeTimeProvider(HeldKey.Start)
{
    private readonly TaskCompletionSource _begun = NewSignal();
    private readonly ConcurrentDictionary<TimeSpan, TaskCompletionSource> _waiting = new();

    /// <summary>Ends when the first timer is made.</summary>
    public Task Begun => _begun.Task;

    /// <summary>Ends when a timer of this length is made, or has been made before.</summary>
    public Task Waiting(TimeSpan time) => SignalOf(time).Task;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _begun.TrySetResult();
        SignalOf(dueTime).TrySetResult();
        return timer;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TaskCompletionSource SignalOf(TimeSpan time) => _waiting.GetOrAdd(time, _ => NewSignal());
}
