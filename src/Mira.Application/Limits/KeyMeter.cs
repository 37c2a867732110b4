namespace Mira.Application.Limits;

/// <summary>
/// How one key stands with its limit at this node: what it was admitted here, and what this node holds and knows of the window that all nodes
/// share. Lock it before use.
/// </summary>
public sealed class KeyMeter
{
    private int _leased;
    private long _leaseEnds;

    // What the shared window said last, and under which limit.
    private int _limit;
    private int _sharedRemaining;
    private long _sharedAt;
    private long _sharedUntilRelease;

    internal Window Admitted { get; } = new();

    /// <summary>The lease that is being fetched; all who need one wait for it.</summary>
    internal Task<Lease>? Leasing { get; set; }

    /// <summary>Calls that have asked the shared window and will be counted here.</summary>
    internal int Waiting { get; set; }

    /// <summary>Nobody uses it any more, and another one may have taken its place.</summary>
    internal bool IsRetired { get; private set; }

    /// <summary>Does what was admitted here leave room for this?</summary>
    internal bool HasRoom(int cost, int limit) => cost == 0 || cost <= limit - Admitted.Total;

    /// <summary>Takes from the lease, when it holds enough and is young enough.</summary>
    internal bool TrySpend(int cost, long now, int limit)
    {
        if (Leased(now, limit) < cost)
            return false;

        _leased -= cost;
        return true;
    }

    /// <summary>
    /// How many tokens to ask for, and for how long: a thousandth of the limit for a second when that much is used in a second, or when nothing is known
    /// yet; else what was used here lately, or a ten-thousandth, so that a key that begins to be used does not ask at every call. While the shared window is nearly empty it is for longer, because nobody is in want of what is not used.
    /// </summary>
    internal (int Tokens, long Life) NextLease(long now, int limit)
    {
        var most = limit / RateLimiter.LeasedFrom;
        var least = Math.Max(1, most / 10);
        var lastSecond = Admitted.Since(now, RateLimiter.LeaseLife);
        if (limit != _limit || lastSecond >= most)
            return (most, RateLimiter.LeaseLife);
        if (_sharedRemaining < limit - (limit / 10))
            return (Math.Max(lastSecond, least), RateLimiter.LeaseLife);

        var lately = Admitted.Since(now, RateLimiter.LongLeaseLife);
        return (Math.Clamp(lately, least, most), lately > 0 ? RateLimiter.LongLeaseLife : RateLimiter.LeaseLife);
    }

    /// <summary>Takes in a grant that was asked for at <paramref name="began"/> and may be used until <paramref name="ends"/>.</summary>
    internal void Take(Grant grant, long began, long ends, long now, int limit)
    {
        // What is left of the lease before makes one with it, which ends with the earlier of the two.
        var left = Leased(now, limit);
        _leaseEnds = left == 0 ? ends : Math.Min(ends, _leaseEnds);
        Note(grant, began, limit);
        _leased = left + grant.Tokens;
    }

    /// <summary>Takes in how the shared window stood, from when it was asked: an answer may have been long on its way.</summary>
    internal void Note(Grant grant, long began, int limit)
    {
        if (limit != _limit)
            _leased = 0;
        else if (began < _sharedAt)
            return;

        (_limit, _sharedRemaining, _sharedAt, _sharedUntilRelease) = (limit, grant.Remaining, began, grant.ResetIn.Ticks);
    }

    /// <summary>Is it known that the shared window has no room for this, because nothing can have left it since it said so?</summary>
    internal bool IsFull(int cost, long now, int limit) => Holds(now, limit) && cost > _sharedRemaining + Leased(now, limit);

    /// <summary>Has the shared window said a moment ago how it stands?</summary>
    internal bool IsInformed(long now, int limit) => limit == _limit && now - _sharedAt < RateLimiter.LeaseLife;

    internal LimitState State(bool isAdmitted, long now, int limit, bool isShared)
    {
        var remaining = limit - Admitted.Total;
        var release = Admitted.UntilRelease(now);
        if (isShared && Holds(now, limit))
        {
            // Who waits must get through the narrower of the two windows.
            var shared = _sharedRemaining + Leased(now, limit);
            var sharedRelease = _sharedUntilRelease - (now - _sharedAt);
            release = shared < remaining ? sharedRelease : shared == remaining ? Math.Max(release, sharedRelease) : release;
            remaining = Math.Min(remaining, shared);
        }

        var seconds = (release + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond;
        return new LimitState(isAdmitted, limit, Math.Max(remaining, 0), (int)Math.Min(seconds, 60));
    }

    internal bool TryRetire(long now)
    {
        Admitted.MoveTo(now);
        return IsRetired |= Admitted.Total == 0 && Waiting == 0 && Leased(now, _limit) == 0 && !Holds(now, _limit);
    }

    /// <summary>Tokens in hand that may be spent now.</summary>
    internal int Leased(long now, int limit) => limit == _limit && now < _leaseEnds ? _leased : 0;

    /// <summary>Nothing has left the shared window since it was asked, so there is no more in it than it said.</summary>
    private bool Holds(long now, int limit) => limit == _limit && now - _sharedAt < _sharedUntilRelease;

    /// <summary>How the request for a lease went, for those who waited for it.</summary>
    internal readonly record struct Lease(bool IsAnswered, long Ends);
}
