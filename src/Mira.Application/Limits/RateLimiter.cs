using System.Collections.Concurrent;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Application.Limits;

/// <summary>
/// Admits calls of keys: in any 60 seconds no more than the key's limit, over all nodes while the shared windows answer, else per node. A refused
/// call is not counted.
/// </summary>
/// <remarks>
/// Keys with a limit below <see cref="LeasedFrom"/> take each call's tokens from the shared window, so that small limits are exact. Others take
/// up to a thousandth of the limit at once and spend it within a second, or within ten while hardly anything is used (docs/decisions/0010). What is admitted here is counted here too: when the shared windows are
/// gone this node goes on from there, and what it knows to be too much is refused without asking.
/// </remarks>
public sealed class RateLimiter : IDisposable
{
    /// <summary>Limits from here on are leased.</summary>
    public const int LeasedFrom = 1_000;

    /// <summary>Ticks from before the request for a lease to its end.</summary>
    internal const long LeaseLife = TimeSpan.TicksPerSecond;

    /// <summary>The same, while the shared window is nearly empty.</summary>
    internal const long LongLeaseLife = 10 * TimeSpan.TicksPerSecond;

    private const long SingleLife = TimeSpan.TicksPerSecond / 4;

    /// <summary>Answers in a row that may come too late to be used.</summary>
    private const int Patience = 3;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<KeyId, KeyMeter> _meters = new();
    private readonly ShardedCounter[] _rejections = [.. Roles.All.Select(_ => new ShardedCounter())];
    private readonly ShardedCounter _alone = new();
    private readonly LimitOptions _options;
    private readonly TimeProvider _clock;
    private readonly ISharedLimits? _shared;
    private readonly long _start;
    private readonly ITimer _sweep;

    /// <param name="shared">Null when there is one node.</param>
    public RateLimiter(LimitOptions options, TimeProvider clock, ISharedLimits? shared = null)
    {
        _options = options;
        _clock = clock;
        _shared = shared;
        _start = clock.GetTimestamp();
        _sweep = clock.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
    }

    public bool IsEnabled => _options.Enabled;

    /// <summary>Does each node go by its own windows, although they should be shared?</summary>
    public bool IsDegraded => _shared is { IsAvailable: false };

    /// <summary>Calls this node has decided by its own windows alone, although they should have been shared.</summary>
    public long DecidedAlone => _alone.Value;

    /// <summary>Keys with a call in the last minutes.</summary>
    public int Meters => _meters.Count;

    /// <summary>Counts a call of <paramref name="cost"/> tokens, all or nothing. A cost of 0 only asks, and is always admitted.</summary>
    /// <exception cref="OverloadedException">This node takes so long for everything that no shared token is good when it gets it.</exception>
    public ValueTask<LimitState> ChargeAsync(KeyEntry entry, int cost)
    {
        var charge = DecideAsync(entry, cost);
        if (!charge.IsCompletedSuccessfully)
            return AwaitAsync(charge, entry);

        Count(charge.Result, entry);
        return charge;
    }

    /// <summary>Refused calls of keys with this role since the start.</summary>
    public long RejectionsOf(Role role) => _rejections[(int)role].Value;

    private async ValueTask<LimitState> AwaitAsync(ValueTask<LimitState> charge, KeyEntry entry)
    {
        var state = await charge;
        Count(state, entry);
        return state;
    }

    private void Count(LimitState state, KeyEntry entry)
    {
        if (!state.IsAdmitted)
            _rejections[(int)entry.Key!.Role].Increment();
    }

    private ValueTask<LimitState> DecideAsync(KeyEntry entry, int cost)
    {
        var limit = _options.Of(entry.Key!);
        while (true)
        {
            var meter = MeterOf(entry);
            lock (meter)
            {
                // The time first: a clock that runs timers on the thread that asks may retire the meter meanwhile.
                var now = Now();
                if (meter.IsRetired)
                    continue;

                meter.Admitted.MoveTo(now);
                if (_shared is not { IsAvailable: true })
                    return new(AdmitHere(meter, cost, now, limit));
                if (!meter.HasRoom(cost, limit))
                    return new(meter.State(false, now, limit, isShared: true));
                if (cost == 0 ? limit >= LeasedFrom && meter.IsInformed(now, limit) : meter.TrySpend(cost, now, limit))
                    return new(Admit(meter, cost, now, limit));
                if (meter.IsFull(cost, now, limit))
                    return new(meter.State(false, now, limit, isShared: true));

                meter.Waiting++;
            }

            return AskAsync(entry.Id, meter, cost, limit);
        }
    }

    /// <summary>How the key stands as far as this node knows by itself.</summary>
    public LimitState Look(KeyEntry entry)
    {
        var meter = MeterOf(entry);
        lock (meter)
        {
            var now = Now();
            meter.Admitted.MoveTo(now);
            return meter.State(true, now, _options.Of(entry.Key!), isShared: _shared is { IsAvailable: true });
        }
    }

    public void Dispose() => _sweep.Dispose();

    private async ValueTask<LimitState> AskAsync(KeyId id, KeyMeter meter, int cost, int limit)
    {
        try
        {
            return limit >= LeasedFrom && cost > 0 ? await TakeLeasedAsync(id, meter, cost, limit) : await TakeExactlyAsync(id, meter, cost, limit);
        }
        finally
        {
            lock (meter)
                meter.Waiting--;
        }
    }

    // Used before its life ends or not at all: a node that was paused meanwhile must not use it where it no longer counts. It asks again.
    private async ValueTask<LimitState> TakeExactlyAsync(KeyId id, KeyMeter meter, int cost, int limit)
    {
        for (var answers = 0; answers < Patience; answers++)
        {
            var began = Now();
            var grant = await _shared!.TakeAsync(id, limit, cost, cost, TimeSpan.FromTicks(SingleLife));
            lock (meter)
            {
                var now = Now();
                meter.Admitted.MoveTo(now);
                if (grant is not { } known)
                    return AdmitHere(meter, cost, now, limit);

                meter.Note(known, began, limit);
                if (now - began < SingleLife || cost == 0)
                    return known.Tokens >= cost && meter.HasRoom(cost, limit) ? Admit(meter, cost, now, limit) : meter.State(false, now, limit, isShared: true);
                if (meter.IsFull(cost, now, limit))
                    return meter.State(false, now, limit, isShared: true);
            }
        }

        throw TooLate();
    }

    private async ValueTask<LimitState> TakeLeasedAsync(KeyId id, KeyMeter meter, int cost, int limit)
    {
        for (var late = 0; late < Patience;)
        {
            TaskCompletionSource<KeyMeter.Lease>? own = null;
            Task<KeyMeter.Lease> leasing;
            lock (meter)
                leasing = meter.Leasing ??= (own = new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

            // Who finds none under way fetches it, for all who come meanwhile.
            var lease = own is null ? await leasing : await LeaseAsync(id, meter, cost, limit, own);
            lock (meter)
            {
                var now = Now();
                meter.Admitted.MoveTo(now);
                if (!lease.IsAnswered)
                    return AdmitHere(meter, cost, now, limit);
                if (meter.HasRoom(cost, limit) && meter.TrySpend(cost, now, limit))
                    return Admit(meter, cost, now, limit);
                if (!meter.HasRoom(cost, limit) || meter.IsFull(cost, now, limit))
                    return meter.State(false, now, limit, isShared: true);
                if (now >= lease.Ends)
                    late++;
            }
        }

        throw TooLate();
    }

    private async ValueTask<KeyMeter.Lease> LeaseAsync(KeyId id, KeyMeter meter, int cost, int limit, TaskCompletionSource<KeyMeter.Lease> waited)
    {
        var began = Now();
        var ends = began;
        Grant? grant = null;
        try
        {
            (int Tokens, long Life) next;
            int held;
            lock (meter)
            {
                meter.Admitted.MoveTo(began);
                next = meter.NextLease(began, limit);
                held = meter.Leased(began, limit);
            }

            ends = began + next.Life;
            // What is in hand need not be found again.
            grant = await _shared!.TakeAsync(id, limit, Math.Max(cost - held, 1), Math.Max(cost, next.Tokens), TimeSpan.FromTicks(next.Life));
        }
        finally
        {
            lock (meter)
            {
                meter.Leasing = null;
                if (grant is { } known)
                    meter.Take(known, began, ends, Now(), limit);
            }

            waited.SetResult(new KeyMeter.Lease(grant is not null, ends));
        }

        return new KeyMeter.Lease(grant is not null, ends);
    }

    private static OverloadedException TooLate() => new("This node is too slow to count calls.");

    private LimitState AdmitHere(KeyMeter meter, int cost, long now, int limit)
    {
        if (_shared is not null)
            _alone.Increment();
        var isAdmitted = meter.HasRoom(cost, limit);
        if (isAdmitted && cost > 0)
            meter.Admitted.Add(now, cost);
        return meter.State(isAdmitted, now, limit, isShared: false);
    }

    private static LimitState Admit(KeyMeter meter, int cost, long now, int limit)
    {
        if (cost > 0)
            meter.Admitted.Add(now, cost);
        return meter.State(true, now, limit, isShared: true);
    }

    private KeyMeter MeterOf(KeyEntry entry)
    {
        if (entry.Meter is { IsRetired: false } known)
            return known;
        return entry.Meter = _meters.GetOrAdd(entry.Id, _ => new KeyMeter());
    }

    // Under its lock and before it is taken out: who still holds it sees that it is over, and looks for the one in its place.
    private void Sweep()
    {
        foreach (var (id, meter) in _meters)
        {
            lock (meter)
            {
                if (meter.TryRetire(Now()))
                    _meters.TryRemove(new KeyValuePair<KeyId, KeyMeter>(id, meter));
            }
        }
    }

    private long Now() => _clock.GetElapsedTime(_start).Ticks;
}

/// <summary>How a key stands with its limit after a call.</summary>
/// <param name="Limit">Calls a minute.</param>
/// <param name="Remaining">Calls left now.</param>
/// <param name="ResetSeconds">Until the oldest counted call leaves the window, rounded up; 0 when nothing is counted.</param>
public readonly record struct LimitState(bool IsAdmitted, int Limit, int Remaining, int ResetSeconds);
