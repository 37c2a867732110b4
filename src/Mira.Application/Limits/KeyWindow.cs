namespace Mira.Application.Limits;

/// <summary>
/// How one key stands with its limit at this node: what it was admitted here, and what this node holds and knows of the
/// window that all nodes share. Lock it before use.
/// </summary>
public sealed class KeyWindow
{
    private PrefetchedTokenSets? _leases;
    private SlidingWindow? _alone;
    private int _aloneLimit;

    // What the shared window said last, and under which limit.
    private int _limit;
    private int _sharedRemaining;
    private long _sharedAt;
    private long _sharedUntilRelease;

    private long _lastSpent;
    private long _roundTrip;

    /// <summary>Every call that was admitted here.</summary>
    internal SlidingWindow Admitted { get; } = new();

    /// <summary>The lease that is being fetched; all who need one wait for it.</summary>
    internal Task<PrefetchResult>? Fetching { get; set; }

    /// <summary>Calls that wait for tokens and will be counted here.</summary>
    internal int Waiting { get; set; }

    /// <summary>Tokens these calls need together.</summary>
    internal long Demand { get; set; }

    /// <summary>Has it admitted calls that the shared window does not know of?</summary>
    internal bool IsOwing => _alone is { Total: > 0 };

    /// <summary>Nobody uses it any more, and another one may have taken its place.</summary>
    internal bool IsRetired { get; private set; }

    internal void MoveTo(Moment now)
    {
        Admitted.MoveTo(now.Monotonic);
        _alone?.MoveTo(now.Monotonic);
    }

    /// <summary>Counts a call that was admitted although the shared window did not answer.</summary>
    internal void AdmitAlone(int cost, Moment now, int limit)
    {
        Admitted.Add(now.Monotonic, cost);
        (_alone ??= new SlidingWindow()).Add(now.Monotonic, cost);
        _aloneLimit = limit;
    }

    /// <summary>Does what was admitted here leave room for this?</summary>
    internal bool HasRoom(int cost, int limit) => cost == 0 || cost <= limit - Admitted.Total;

    /// <summary>Takes from the leases, when they hold enough and are young enough.</summary>
    internal bool TrySpend(int cost, Moment now, int limit) => limit == _limit && _leases is not null && _leases.TrySpend(cost, now);

    /// <summary>
    /// Is it time to fetch the next lease, because this one is nearly spent or will be over before the next call? Asked
    /// after each call that was admitted from a lease.
    /// </summary>
    internal bool ShouldRenew(Moment now, int limit)
    {
        var sinceLast = now.Monotonic - _lastSpent;
        _lastSpent = now.Monotonic;
        return limit >= RateLimiter.LeasedFrom && Fetching is null && limit == _limit && !IsFull(1, now.Monotonic, limit)
            && _leases!.IsNearlyOut(now, 2 * Math.Max(sinceLast, _roundTrip));
    }

    /// <summary>
    /// How many tokens to ask for, and for how long: a thousandth of the limit for a second when that much is used in a
    /// second, or when nothing is known yet; else what was used here lately, or a ten-thousandth, so that a key that
    /// begins to be used does not ask at every call. While the shared window is nearly empty it is for longer, because
    /// nobody is in want of what is not used.
    /// </summary>
    internal (int Tokens, long Life) NextLease(long now, int limit)
    {
        if (limit < RateLimiter.LeasedFrom)
            return (0, RateLimiter.SingleLife);

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

    /// <summary>
    /// What the shared window is told with the next request: tokens that were not used, and calls that were admitted
    /// without it.
    /// </summary>
    internal (Settlement Settlement, Debt Debt) Settle(Moment now)
    {
        var (unused, bucket) = _leases?.TakeUnused() ?? default;
        var debt = new Debt(_alone, _aloneLimit);
        _alone = null;
        return (new Settlement(unused, bucket, debt.Calls?.Total ?? 0, TimeSpan.FromTicks(debt.Calls?.UntilEmpty(now.Monotonic) ?? 0)), debt);
    }

    /// <summary>The settlement was not heard of: what is owed is owed still.</summary>
    internal void OweAgain(Debt debt, Moment now)
    {
        if (_alone is null)
            (_alone, _aloneLimit) = (debt.Calls, debt.Limit);
        else if (debt.Calls is { Total: > 0 } calls)
            _alone.Add(now.Monotonic, calls.Total);
    }

    /// <summary>
    /// Takes in a grant that was asked for at <paramref name="began"/> and may be used until <paramref name="ends"/>.
    /// </summary>
    internal void Take(Grant grant, Moment began, Moment ends, Moment now, int limit)
    {
        _roundTrip = now.Monotonic - began.Monotonic;
        Note(grant, began.Monotonic, limit);
        (_leases ??= new PrefetchedTokenSets()).Add(new PrefetchedTokens(grant.Tokens, grant.Tokens, ends, ends.Monotonic - began.Monotonic, grant.Bucket), now);
    }

    /// <summary>
    /// Takes in how the shared window stood, from when it was asked: an answer may have been long on its way.
    /// </summary>
    internal void Note(Grant grant, long began, int limit)
    {
        if (limit != _limit)
            _leases?.Clear();
        else if (began < _sharedAt)
            return;

        (_limit, _sharedRemaining, _sharedAt, _sharedUntilRelease) = (limit, grant.Remaining, began, grant.ResetIn.Ticks);
    }

    /// <summary>
    /// Is it known that the shared window has no room for this, because nothing can have left it since it said so?
    /// </summary>
    internal bool IsFull(int cost, Moment now, int limit) => IsFull(cost - Leased(now, limit) - Unused, now.Monotonic, limit);

    /// <summary>Has the shared window said a moment ago how it stands?</summary>
    internal bool IsInformed(long now, int limit) => limit == _limit && now - _sharedAt < RateLimiter.LeaseLife;

    internal LimitState State(bool isAdmitted, Moment now, int limit, bool isShared)
    {
        var remaining = limit - Admitted.Total;
        var release = Admitted.UntilRelease(now.Monotonic);
        if (isShared && Holds(now.Monotonic, limit))
        {
            // Who waits must get through the narrower of the two windows.
            var shared = _sharedRemaining + Leased(now, limit) + Unused;
            var sharedRelease = _sharedUntilRelease - (now.Monotonic - _sharedAt);
            release = shared < remaining ? sharedRelease : shared == remaining ? Math.Max(release, sharedRelease) : release;
            remaining = Math.Min(remaining, shared);
        }

        var seconds = (release + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond;
        return new LimitState(isAdmitted, limit, Math.Max(remaining, 0), (int)Math.Min(seconds, 60));
    }

    internal bool TryRetire(Moment now)
    {
        MoveTo(now);
        return IsRetired |= Admitted.Total == 0 && Waiting == 0 && Fetching is null && Leased(now, _limit) == 0 && !Holds(now.Monotonic, _limit);
    }

    /// <summary>Tokens in hand that may be spent now.</summary>
    internal int Leased(Moment now, int limit) => limit == _limit && _leases is not null ? _leases.SpendableAt(now) : 0;

    /// <summary>
    /// Tokens that came too late or were not wanted: the next question returns them, and then they can be had again.
    /// </summary>
    private int Unused => _leases?.Unused.Tokens ?? 0;

    private bool IsFull(int missing, long now, int limit) => Holds(now, limit) && missing > _sharedRemaining;

    /// <summary>
    /// Nothing has left the shared window since it was asked, so there is no more in it than it said.
    /// </summary>
    private bool Holds(long now, int limit) => limit == _limit && now - _sharedAt < _sharedUntilRelease;
}

/// <summary>How the request for a lease went, for those who waited for it.</summary>
internal readonly record struct PrefetchResult(bool IsAnswered, bool IsLate);

/// <summary>Calls a node admitted while the shared window did not answer, and under which limit.</summary>
internal readonly record struct Debt(SlidingWindow? Calls, int Limit);
