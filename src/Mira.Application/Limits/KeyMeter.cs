namespace Mira.Application.Limits;

/// <summary>
/// How one key stands with its limit at this node: what it was admitted here, and what this node holds of the window that all nodes share.
/// Lock it before use.
/// </summary>
public sealed class KeyMeter
{
    private int _leased;
    private uint _leaseBegan;
    private int _limit;
    private int _sharedRemaining;
    private uint _sharedAt;
    private int _sharedUntilRelease;

    internal Window Admitted { get; } = new();

    /// <summary>The lease that is being fetched; all who need one wait for it.</summary>
    internal Task<bool>? Leasing { get; set; }

    /// <summary>Nobody uses it any more, and another one may have taken its place.</summary>
    internal bool IsRetired { get; private set; }

    /// <summary>Takes from the lease, when it holds enough and is young enough.</summary>
    internal bool TrySpend(int cost, uint now, int limit)
    {
        if (_leased < cost || limit != _limit || now - _leaseBegan >= RateLimiter.LeaseLife)
            return false;

        _leased -= cost;
        return true;
    }

    /// <summary>Takes in a grant that was asked for at <paramref name="began"/>.</summary>
    internal void Take(Grant grant, uint began, uint now, int limit)
    {
        var isAlive = _leased > 0 && limit == _limit && now - _leaseBegan < RateLimiter.LeaseLife;
        // What is left of the lease before goes on to count as the older one.
        (_leased, _leaseBegan) = isAlive ? (_leased + grant.Tokens, _leaseBegan) : (grant.Tokens, began);
        Note(grant, now, limit);
    }

    /// <summary>Takes in how the shared window stands.</summary>
    internal void Note(Grant grant, uint now, int limit) =>
        (_sharedRemaining, _sharedAt, _sharedUntilRelease, _limit) = (grant.Remaining, now, (int)Math.Ceiling(grant.ResetIn.TotalMilliseconds), limit);

    /// <summary>Is it known that the shared window has no room for this, because nothing has left it since it said so?</summary>
    internal bool IsFull(int cost, uint now, int limit) =>
        _sharedUntilRelease > 0 && limit == _limit && cost > _sharedRemaining && now - _sharedAt < _sharedUntilRelease;

    internal LimitState State(bool isAdmitted, uint now, int limit, bool isShared)
    {
        var remaining = limit - Admitted.Total;
        var release = Admitted.UntilRelease(now);
        if (isShared)
        {
            remaining = Math.Min(remaining, _sharedRemaining + _leased);
            release = Math.Max(release, _sharedUntilRelease - (int)(now - _sharedAt));
        }

        return new LimitState(isAdmitted, limit, Math.Max(remaining, 0), Math.Clamp((release + 999) / 1_000, 0, Window.Length / 1_000));
    }

    internal bool TryRetire(uint now)
    {
        Admitted.MoveTo(now);
        var isIdle = Admitted.Total == 0 && Leasing is null && (_leased == 0 || now - _leaseBegan >= RateLimiter.LeaseLife);
        return IsRetired |= isIdle;
    }
}
