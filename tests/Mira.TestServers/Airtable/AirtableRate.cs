namespace Mira.TestServers.Airtable;

/// <summary>So many calls in any second; one more, and all are refused for a while.</summary>
internal sealed class AirtableRate(AirtableServerOptions options)
{
    private readonly Queue<TimeSpan> _recent = new();
    private TimeSpan _lockedUntil;

    /// <returns>False when it is one too many.</returns>
    public bool Take(TimeSpan now)
    {
        while (_recent.TryPeek(out var oldest) && now - oldest >= TimeSpan.FromSeconds(1))
            _recent.Dequeue();
        if (now < _lockedUntil)
            return false;

        if (_recent.Count >= options.CallsPerSecond)
        {
            LockOut(now);
            return false;
        }

        _recent.Enqueue(now);
        return true;
    }

    public void LockOut(TimeSpan now) => _lockedUntil = now + options.LockOut;

    public void Open() => _lockedUntil = TimeSpan.Zero;
}
