namespace Mira.Application.Background;

/// <summary>
/// Tells when nobody calls this node and nobody else writes to its store. Loops that poll for the sake of callers then
/// poll less often. On a store that nodes share it is never quiet: another node may write at any time.
/// </summary>
public sealed class QuietTime(bool isShared, TimeProvider clock)
{
    /// <summary>How long after the last call it becomes quiet.</summary>
    public static readonly TimeSpan After = TimeSpan.FromSeconds(3);

    private long _lastCall = clock.GetTimestamp();
    private volatile bool _isCalled;

    public bool IsNow
    {
        get
        {
            if (isShared)
                return false;

            if (_isCalled)
            {
                _isCalled = false;
                Interlocked.Exchange(ref _lastCall, clock.GetTimestamp());
            }

            return clock.GetElapsedTime(Interlocked.Read(ref _lastCall)) >= After;
        }
    }

    /// <summary>
    /// Says that there is a call. It costs a call next to nothing: no clock is read, and calls at one time write
    /// nothing that others read.
    /// </summary>
    public void NoteCall()
    {
        if (!_isCalled)
            _isCalled = true;
    }
}
