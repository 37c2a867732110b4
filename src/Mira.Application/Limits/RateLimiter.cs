using System.Collections.Concurrent;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Application.Limits;

/// <summary>
/// Admits calls of keys: in any 60 seconds no more than the key's limit, over all nodes while the shared windows
/// answer, else per node. A refused call is not counted.
/// </summary>
/// <remarks>
/// Keys with a limit below <see cref="LeasedFrom"/> take from the shared window what their waiting calls need and no
/// more, so that small limits are exact. Others take up to a thousandth of the limit at once and spend it within a
/// second, or within ten while hardly anything is used (docs/decisions/0010); the next lease is fetched before this one
/// runs out. What is admitted here is counted here too: when the shared windows are gone this node goes on from there,
/// and what it knows to be too much is refused without asking.
/// </remarks>
public sealed class RateLimiter : IMetricSource, IDisposable
{
    /// <summary>Limits from here on are leased.</summary>
    public const int LeasedFrom = 1_000;

    /// <summary>Ticks from before the request for a lease to its end.</summary>
    internal const long LeaseLife = TimeSpan.TicksPerSecond;

    /// <summary>The same, while the shared window is nearly empty.</summary>
    internal const long LongLeaseLife = 10 * TimeSpan.TicksPerSecond;

    /// <summary>The same, for tokens of keys that are not leased: longer than an answer may take.</summary>
    internal const long SingleLife = TimeSpan.TicksPerSecond / 2;

    /// <summary>Answers in a row that may come too late to be used.</summary>
    private const int Patience = 3;

    /// <summary>How long it shows that calls were decided alone.</summary>
    private const long AloneShown = 60 * TimeSpan.TicksPerSecond;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<KeyId, KeyWindow> _meters = new();
    private readonly ShardedCounter[] _rejections = [.. Roles.All.Select(_ => new ShardedCounter())];
    private readonly ShardedCounter _alone = new();
    private readonly LimitOptions _options;
    private readonly TimeProvider _clock;
    private readonly ISharedLimits? _shared;
    private readonly SharedTokens? _tokens;
    private readonly long _start;
    private readonly ITimer _sweep;
    private long _lastAlone = -AloneShown;
    private int _isOwing;

    /// <param name="shared">Null when there is one node.</param>
    public RateLimiter(LimitOptions options, TimeProvider clock, ISharedLimits? shared = null)
    {
        _options = options;
        _clock = clock;
        _shared = shared;
        _start = clock.GetTimestamp();
        _tokens = shared is null ? null : new SharedTokens(shared, Now);
        _sweep = clock.CreateTimer(_ => Sweep(), null, SweepInterval, SweepInterval);
    }

    public bool IsEnabled => _options.Enabled;

    /// <summary>Does each node go by its own windows, although they should be shared?</summary>
    public bool IsDegraded => _shared is { IsAvailable: false };

    /// <summary>Calls this node has decided by its own windows alone, although they should have been shared.</summary>
    public long DecidedAlone => _alone.Value;

    /// <summary>Has it decided a call alone in the last minute? Null when there is one node.</summary>
    public bool? HasDecidedAlone => _shared is null ? null : Now().Monotonic - Volatile.Read(ref _lastAlone) < AloneShown;

    /// <summary>Keys with a call in the last minutes.</summary>
    public int Meters => _meters.Count;

    /// <summary>
    /// Counts a call of <paramref name="cost"/> tokens, all or nothing. A cost of 0 only asks, and is always admitted.
    /// </summary>
    /// <exception cref="OverloadedException">This node takes so long for everything that no shared token is good when
    /// it gets it.</exception>
    /// <exception cref="LimitsUnavailableException">The shared windows do not answer, and
    /// <see cref="LimitOptions.WithoutRedis"/> is <see cref="WithoutRedis.Refuse"/>.</exception>
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
        var isShared = _shared is { IsAvailable: true };
        if (isShared && Volatile.Read(ref _isOwing) != 0 && Interlocked.Exchange(ref _isOwing, 0) != 0)
            _ = _tokens!.SettleAsync(_meters);
        while (true)
        {
            var meter = MeterOf(entry);
            lock (meter)
            {
                // The time first: a clock that runs timers on the thread that asks may retire the counter meanwhile.
                var now = Now();
                if (meter.IsRetired)
                    continue;

                meter.MoveTo(now);
                if (!meter.HasRoom(cost, limit))
                    return new(meter.State(false, now, limit, isShared));
                if (cost > 0 && meter.TrySpend(cost, now, limit))
                {
                    var state = Admit(meter, cost, now, limit);
                    if (isShared && meter.ShouldRenew(now, limit))
                        _ = _tokens!.RenewAsync(entry.Id, meter, limit);
                    return new(state);
                }

                if (!isShared)
                    return new(DecideAlone(meter, cost, now, limit));
                if (cost == 0 && limit >= LeasedFrom && meter.IsInformed(now.Monotonic, limit))
                    return new(meter.State(true, now, limit, isShared: true));
                if (meter.IsFull(cost, now, limit))
                    return new(meter.State(false, now, limit, isShared: true));

                meter.Waiting++;
                meter.Demand += cost;
            }

            return AskAsync(entry.Id, meter, cost, limit);
        }
    }

    /// <summary>
    /// Charges a call that nothing else refuses; a call that is refused already costs nothing and only sees the state
    /// of the limit.
    /// </summary>
    public ValueTask<LimitState> ChargeAsync(KeyEntry entry, int cost, bool isRefused) => isRefused ? new(Peek(entry)) : ChargeAsync(entry, cost);

    /// <summary>The state of the key's limit as far as this node knows it by itself.</summary>
    public LimitState Peek(KeyEntry entry)
    {
        var meter = MeterOf(entry);
        lock (meter)
        {
            var now = Now();
            meter.MoveTo(now);
            return meter.State(true, now, _options.Of(entry.Key!), isShared: _shared is { IsAvailable: true });
        }
    }

    public void Register(Instruments instruments)
    {
        instruments.Counter(
            "rate_limit_rejections",
            "Calls refused because a key's limit was reached",
            "role",
            Roles.All.Select(role => (role.Name(), (Func<long>)(() => RejectionsOf(role)))));
        instruments.Flag("rate_limiter_degraded", "1 while this node counts alone, because the shared windows do not answer", () => IsDegraded);
        instruments.Counter(
            "rate_limit_decided_alone",
            "Calls this node decided by its own windows alone, because the shared ones did not answer in time",
            () => DecidedAlone);
    }

    public void Dispose() => _sweep.Dispose();

    private async ValueTask<LimitState> AskAsync(KeyId id, KeyWindow meter, int cost, int limit)
    {
        try
        {
            return cost > 0 ? await TakeAsync(id, meter, cost, limit) : await LookAsync(id, meter, limit);
        }
        finally
        {
            lock (meter)
            {
                meter.Waiting--;
                meter.Demand -= cost;
            }
        }
    }

    private async ValueTask<LimitState> LookAsync(KeyId id, KeyWindow meter, int limit)
    {
        var began = Now();
        var grant = await _shared!.TakeAsync(id, limit, 0, 0, TimeSpan.Zero);
        lock (meter)
        {
            var now = Now();
            meter.MoveTo(now);
            if (grant is not { } known)
                return DecideAlone(meter, 0, now, limit);

            meter.Note(known, began.Monotonic, limit);
            return meter.State(true, now, limit, isShared: true);
        }
    }

    private async ValueTask<LimitState> TakeAsync(KeyId id, KeyWindow meter, int cost, int limit)
    {
        for (var late = 0; late < Patience;)
        {
            TaskCompletionSource<PrefetchResult>? own = null;
            Task<PrefetchResult> fetching;
            lock (meter)
                fetching = meter.Fetching ??= (own = SharedTokens.NewFetch()).Task;

            // Who finds none under way fetches it, for all who come meanwhile.
            var lease = own is null ? await fetching : await _tokens!.FetchAsync(id, meter, cost, limit, late, own);
            lock (meter)
            {
                var now = Now();
                meter.MoveTo(now);
                if (!meter.HasRoom(cost, limit))
                    return meter.State(false, now, limit, isShared: lease.IsAnswered);
                if (meter.TrySpend(cost, now, limit))
                    return Admit(meter, cost, now, limit);
                if (!lease.IsAnswered)
                    return DecideAlone(meter, cost, now, limit);
                if (meter.IsFull(cost, now, limit))
                    return meter.State(false, now, limit, isShared: true);
                if (lease.IsLate)
                    late++;
            }
        }

        throw new OverloadedException("This node is too slow to count calls.");
    }

    private LimitState DecideAlone(KeyWindow meter, int cost, Moment now, int limit)
    {
        var own = limit;
        if (_shared is not null)
        {
            if (_options.WithoutRedis == WithoutRedis.Refuse && cost > 0)
                throw new LimitsUnavailableException();
            if (_options.WithoutRedis == WithoutRedis.Share)
                own = Math.Max(1, limit / _shared.NodesSeen);
            _alone.Increment();
            Volatile.Write(ref _lastAlone, now.Monotonic);
            Volatile.Write(ref _isOwing, 1);
        }

        var isAdmitted = meter.HasRoom(cost, own);
        if (isAdmitted && cost > 0 && _shared is not null)
            meter.AdmitAlone(cost, now, limit);
        else if (isAdmitted && cost > 0)
            meter.Admitted.Add(now.Monotonic, cost);
        return meter.State(isAdmitted, now, own, isShared: false) with { Limit = limit };
    }

    private static LimitState Admit(KeyWindow meter, int cost, Moment now, int limit)
    {
        meter.Admitted.Add(now.Monotonic, cost);
        return meter.State(true, now, limit, isShared: true);
    }

    private KeyWindow MeterOf(KeyEntry entry)
    {
        if (entry.Meter is { IsRetired: false } known)
            return known;
        return entry.Meter = _meters.GetOrAdd(entry.Id, _ => new KeyWindow());
    }

    // Under its lock and before it is taken out: who still holds it sees that it is over, and looks for the one in its
    // place.
    private void Sweep()
    {
        foreach (var (id, meter) in _meters)
        {
            lock (meter)
            {
                if (meter.TryRetire(Now()))
                    _meters.TryRemove(new KeyValuePair<KeyId, KeyWindow>(id, meter));
            }
        }
    }

    private Moment Now() => new(_clock.GetElapsedTime(_start).Ticks, _clock.GetUtcNow().Ticks);
}

/// <summary>How a key stands with its limit after a call.</summary>
/// <param name="Limit">Calls a minute.</param>
/// <param name="Remaining">Calls left now.</param>
/// <param name="ResetSeconds">Until the oldest counted call leaves the window, rounded up; 0 when nothing is
/// counted.</param>
public readonly record struct LimitState(bool IsAdmitted, int Limit, int Remaining, int ResetSeconds);
