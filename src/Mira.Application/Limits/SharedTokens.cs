using Mira.Application.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Limits;

/// <summary>
/// Fetches tokens of the shared windows for a node's counters, and reports to them what was not used and what was
/// admitted without them.
/// </summary>
internal sealed class SharedTokens(ISharedLimits shared, Func<Moment> clock)
{
    /// <summary>After each late answer the next lease lives so many times longer.</summary>
    private const int LateFactor = 4;

    private const int SettledAtOnce = 32;

    public static TaskCompletionSource<PrefetchResult> NewFetch() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Beside the calls: whoever needs the lease before it is here waits for it like for any other.
    public async Task RenewAsync(KeyId id, KeyWindow meter, int limit)
    {
        var own = NewFetch();
        lock (meter)
        {
            if (meter.Fetching is not null)
                return;

            meter.Fetching = own.Task;
        }

        try
        {
            await FetchAsync(id, meter, 1, limit, 0, own);
        }
        catch (OverloadedException)
        {
            // The call that needs the lease tries again.
        }
    }

    // Used before its life ends or not at all: a node that was paused meanwhile must not use tokens where they no
    // longer count. It returns them and asks again.
    public async ValueTask<PrefetchResult> FetchAsync(KeyId id, KeyWindow meter, int cost, int limit, int late, TaskCompletionSource<PrefetchResult> waited)
    {
        var began = clock();
        var ends = began;
        Grant? grant = null;
        Debt debt = default;
        var outcome = new PrefetchResult(IsAnswered: false, IsLate: false);
        try
        {
            int needed, wanted;
            long life;
            Settlement settlement;
            lock (meter)
            {
                meter.MoveTo(began);
                (var tokens, life) = meter.NextLease(began.Monotonic, limit);
                // What is in hand need not be found again.
                needed = Math.Max(cost - meter.Leased(began, limit), 1);
                wanted = (int)Math.Min(Math.Max(Math.Max(needed, tokens), meter.Demand - meter.Leased(began, limit)), int.MaxValue);
                (settlement, debt) = meter.Settle(began);
            }

            for (var attempt = 0; attempt < late; attempt++)
                life = Math.Min(life * LateFactor, RateLimiter.LongLeaseLife);
            ends = began + life;
            grant = await shared.TakeAsync(id, limit, needed, wanted, TimeSpan.FromTicks(life), settlement);
        }
        finally
        {
            lock (meter)
            {
                var now = clock();
                meter.Fetching = null;
                if (grant is { } known)
                    meter.Take(known, began, ends, now, limit);
                else
                    meter.OweAgain(debt, now);
                outcome = new PrefetchResult(grant is not null, ends.HasCome(now));
            }

            waited.SetResult(outcome);
        }

        return outcome;
    }

    // The shared windows are back: they are told what was admitted without them, also for keys that nobody calls any
    // more.
    public async Task SettleAsync(IEnumerable<KeyValuePair<KeyId, KeyWindow>> meters)
    {
        foreach (var keys in meters.Where(pair => pair.Value.IsOwing).Chunk(SettledAtOnce))
            await Task.WhenAll(keys.Select(pair => SettleAsync(pair.Key, pair.Value)));
    }

    private async Task SettleAsync(KeyId id, KeyWindow meter)
    {
        var began = clock();
        Settlement settlement;
        Debt debt;
        lock (meter)
        {
            meter.MoveTo(began);
            (settlement, debt) = meter.Settle(began);
        }

        Grant? grant = null;
        try
        {
            grant = settlement.Owed > 0 ? await shared.TakeAsync(id, debt.Limit, 0, 0, TimeSpan.Zero, settlement) : default(Grant);
        }
        catch (OverloadedException)
        {
            // Tried again with the next call of this key.
        }

        if (grant is null)
        {
            lock (meter)
                meter.OweAgain(debt, clock());
        }
    }
}
