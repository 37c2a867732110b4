using Microsoft.EntityFrameworkCore;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// The right to call Airtable, which one node at a time has: limits of calls hold for all nodes together only then.
/// Each holder has a fence, larger than all before; it is part of what the MAC of a row covers, so what a node that was
/// stopped writes late is known for what it is.
/// </summary>
public sealed class WriterLease
{
    /// <summary>By the database's clock.</summary>
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(12);

    /// <summary>The holder stops so long before, so that the next one never calls in the same second.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan RenewedEvery = TimeSpan.FromSeconds(3);

    private readonly MirrorStore _book;
    private readonly RequestLimiter _pace;
    private readonly TimeProvider _clock;
    private volatile HeldLease? _held;

    public WriterLease(MirrorStore book, RequestLimiter pace, TimeProvider clock)
    {
        (_book, _pace, _clock) = (book, pace, clock);
        pace.HasRight = () => IsHeld;
    }

    /// <summary>This process, as long as it runs.</summary>
    public string Node { get; } = Guid.NewGuid().ToString("N");

    /// <summary>0 while this node does not have the lease.</summary>
    public long Fence => _held?.Fence ?? 0;

    public bool IsHeld => _held is { } held && held.Age(_clock) < Length - Margin;

    /// <summary>Takes the lease when nobody has it, or renews it now and then.</summary>
    /// <exception cref="Application.Ledger.LedgerUnavailableException">The database cannot be written.</exception>
    public async Task<bool> HoldAsync(CancellationToken cancellationToken)
    {
        if (_held is { } held && held.Age(_clock) < RenewedEvery)
            return true;

        var (began, time) = (_clock.GetTimestamp(), _clock.GetUtcNow());
        var fence = await _book.WriteAsync(
            async (database, now) =>
            {
                var until = now + Length;
                // One statement, so that of two nodes one finds that it is too late.
                var taken = await database.AirtableStates
                    .Where(state => state.Holder == Node || state.HeldUntil <= now)
                    .ExecuteUpdateAsync(
                        set => set
                            .SetProperty(state => state.Fence, state => state.Holder == Node ? state.Fence : state.Fence + 1)
                            .SetProperty(state => state.Holder, Node)
                            .SetProperty(state => state.HeldUntil, until),
                        cancellationToken);
                return taken == 0 ? 0 : await database.AirtableStates.Select(state => state.Fence).SingleAsync(cancellationToken);
            },
            cancellationToken);
        if (fence > 0 && fence != Fence)
            _pace.Restart();
        _held = fence > 0 ? new HeldLease(fence, began, time) : null;
        return fence > 0;
    }

    /// <summary>Does this node have it, or another one that is there?</summary>
    /// <exception cref="Application.Ledger.StoreUnavailableException">The database cannot be read.</exception>
    public async Task<bool> IsServedAsync(CancellationToken cancellationToken)
    {
        if (IsHeld)
            return true;

        var (state, now) = await _book.ReadStateAsync(cancellationToken);
        return (state.HeldUntil > now && state.Holder != Node) || await HoldAsync(cancellationToken);
    }

    /// <summary>Lets the next node have it soon, once what this one called has left Airtable's second.</summary>
    public async Task ReleaseAsync()
    {
        if (_held is null)
            return;

        _held = null;
        await _book.WriteAsync(
            async (database, now) =>
            {
                var soon = now + Margin;
                return await database.AirtableStates.Where(state => state.Holder == Node)
                    .ExecuteUpdateAsync(set => set.SetProperty(state => state.Holder, (string?)null).SetProperty(state => state.HeldUntil, soon), CancellationToken.None);
            },
            CancellationToken.None);
    }

    /// <param name="Timestamp">Before it was asked for.</param>
    private sealed record HeldLease(long Fence, long Timestamp, DateTimeOffset Time)
    {
        // By the larger of both clocks, for a node that slept.
        public TimeSpan Age(TimeProvider clock)
        {
            var (monotonic, wall) = (clock.GetElapsedTime(Timestamp), clock.GetUtcNow() - Time);
            return monotonic > wall ? monotonic : wall;
        }
    }
}
