using Microsoft.Extensions.Time.Testing;

namespace Mira.Infrastructure.Tests;

/// <summary>A clock that tells when a loop has begun to wait for it, so that no tick is lost before.</summary>
internal sealed class LoopClock() : FakeTimeProvider(HeldKey.Start)
{
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Begun => _begun.Task;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _begun.TrySetResult();
        return timer;
    }
}
