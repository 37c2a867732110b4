namespace Mira.Application.Limits;

/// <summary>A moment by both clocks, in ticks.</summary>
/// <param name="Monotonic">Stands still while a virtual machine is suspended.</param>
/// <param name="Wall">Goes on meanwhile, but may be set.</param>
internal readonly record struct Moment(long Monotonic, long Wall)
{
    public static Moment operator +(Moment moment, long ticks) => new(moment.Monotonic + ticks, moment.Wall + ticks);

    /// <summary>Has this moment come, by the clock that went further?</summary>
    public bool HasCome(Moment now) => now.Monotonic >= Monotonic || now.Wall >= Wall;
}

/// <summary>Tokens taken from the shared window that may be spent until the lease ends.</summary>
/// <param name="Size">How many it held at first.</param>
/// <param name="Tokens">How many are left.</param>
/// <param name="LifeTicks">From before it was asked for to its end.</param>
/// <param name="Bucket">Where the shared window counts them; <see cref="NoBucket"/> when it is more than one
/// place.</param>
internal readonly record struct PrefetchedTokens(int Size, int Tokens, Moment Ends, long LifeTicks, long Bucket)
{
    public const long NoBucket = long.MinValue;

    public int SpendableAt(Moment now) => Tokens > 0 && !Ends.HasCome(now) ? Tokens : 0;
}

/// <summary>
/// The leases of one key at one node: the one being spent, and the next one, fetched before the first ran out. Tokens
/// of a lease that ended are kept to be returned.
/// </summary>
internal sealed class PrefetchedTokenSets
{
    private PrefetchedTokens _current;
    private PrefetchedTokens _next;

    /// <summary>Tokens that can no longer be spent, and the bucket that still counts them.</summary>
    public (int Tokens, long Bucket) Unused { get; private set; }

    public int SpendableAt(Moment now) => _current.SpendableAt(now) + _next.SpendableAt(now);

    /// <summary>Takes tokens, oldest first, when there are enough.</summary>
    public bool TrySpend(int cost, Moment now)
    {
        EndOld(now);
        if (_current.Tokens + _next.Tokens < cost)
            return false;

        var first = Math.Min(cost, _current.Tokens);
        _current = _current with { Tokens = _current.Tokens - first };
        _next = _next with { Tokens = _next.Tokens - (cost - first) };
        return true;
    }

    public void Add(PrefetchedTokens lease, Moment now)
    {
        EndOld(now);
        if (lease.SpendableAt(now) == 0)
            Waste(lease);
        else if (_current.Tokens == 0)
            _current = lease;
        else if (_next.Tokens == 0)
            _next = lease;
        else
            _next = Join(_next, lease);
    }

    /// <summary>Is the lease in use nearly spent or nearly over?</summary>
    /// <param name="waitTicks">How long it may be until the next call, or until the next lease is here. At least a 64th
    /// of the lease's life counts.</param>
    public bool IsNearlyOut(Moment now, long waitTicks)
    {
        if (_current.Size <= 1 || _next.SpendableAt(now) > 0)
            return false;
        if (_current.Tokens <= _current.Size / 8)
            return true;

        var ahead = Math.Clamp(waitTicks, _current.LifeTicks / 64, _current.LifeTicks / 2);
        return _current.Ends.HasCome(now + ahead);
    }

    /// <summary>
    /// What is to be returned, which is then forgotten here: a return whose answer is lost must not be made twice.
    /// </summary>
    public (int Tokens, long Bucket) TakeUnused()
    {
        var unused = Unused;
        Unused = default;
        return unused;
    }

    /// <summary>Forgets all tokens. They stay counted in the shared window until they leave it.</summary>
    public void Clear() => (_current, _next, Unused) = (default, default, default);

    private void EndOld(Moment now)
    {
        if (_current.SpendableAt(now) == 0)
        {
            Waste(_current);
            // The size stays: a lease that was spent to the last token is renewed like one that is nearly spent.
            _current = _next.Tokens > 0 ? _next : _current with { Tokens = 0 };
            _next = default;
        }

        if (_current.SpendableAt(now) == 0 && _current.Tokens > 0)
        {
            Waste(_current);
            _current = _current with { Tokens = 0 };
        }

        // A short lease may follow a long one and end before it.
        if (_next.Tokens > 0 && _next.SpendableAt(now) == 0)
        {
            Waste(_next);
            _next = default;
        }
    }

    // Tokens of two buckets are not returned: all of them would be taken off one bucket, which may count another node's
    // tokens.
    private static PrefetchedTokens Join(PrefetchedTokens one, PrefetchedTokens other) => other with
    {
        Tokens = one.Tokens + other.Tokens,
        Ends = Earlier(one.Ends, other.Ends),
        Bucket = one.Bucket == other.Bucket ? one.Bucket : PrefetchedTokens.NoBucket,
    };

    // One bucket is remembered. Tokens of another one stay counted until they leave the window by themselves.
    private void Waste(PrefetchedTokens lease)
    {
        if (lease.Tokens > 0 && lease.Bucket != PrefetchedTokens.NoBucket)
            Unused = (lease.Tokens + (Unused.Bucket == lease.Bucket ? Unused.Tokens : 0), lease.Bucket);
    }

    private static Moment Earlier(Moment one, Moment other) => new(Math.Min(one.Monotonic, other.Monotonic), Math.Min(one.Wall, other.Wall));
}
