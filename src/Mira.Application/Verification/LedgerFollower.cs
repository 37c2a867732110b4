using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;

namespace Mira.Application.Verification;

/// <summary>How far a node may fall behind the ledger.</summary>
public sealed record LedgerFollowerOptions
{
    /// <summary>How long a node may trust its cache without having seen the ledger; <c>Mira__Verification__MaxStaleness</c>, 1 s to 1 h.</summary>
    public TimeSpan MaxStaleness { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the ledger is read when nothing else asks for it.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    public static LedgerFollowerOptions Read(SettingReader settings) => new()
    {
        MaxStaleness = settings.Duration(
            "Mira__Verification__MaxStaleness", new LedgerFollowerOptions().MaxStaleness, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
    };
}

/// <summary>
/// Follows the ledger, so that this node's cache never holds what an event has changed. It checks each event's hash and place as it goes; a
/// ledger that is behind or other than what was seen (restored, failed over, edited) empties the cache and is said to be broken.
/// </summary>
public sealed class LedgerFollower(
    ILedgerReader ledger, RecentChanges changes, KeyDirectory directory, LedgerFollowerOptions options, TimeProvider clock) : IDisposable
{
    private const int PageSize = 1_000;

    /// <summary>Before any entry is trusted, the ledger was seen at most this long ago, or it was tried.</summary>
    private readonly TimeSpan _freshFor = TimeSpan.FromSeconds(Math.Min(2, options.MaxStaleness.TotalSeconds));
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _oneQuery = new(1, 1);
    private LedgerPosition _seen = LedgerPosition.Start;
    private Sighting? _lastSeen;
    private Sighting? _lastFailed;
    private Task? _nextQuery;

    /// <summary>The position up to which this node knows every event.</summary>
    public LedgerPosition Seen
    {
        get
        {
            lock (_lock)
                return _seen;
        }
    }

    /// <summary>Did an event not follow from the one before it, or was one seen that is there no more?</summary>
    public bool IsBroken { get; private set; }

    /// <summary>How long ago the ledger was last seen; null before the first time.</summary>
    public TimeSpan? Staleness => _lastSeen?.Elapsed(clock);

    public bool IsReady => Staleness <= options.MaxStaleness;

    /// <summary>Reads where the ledger stands now; nothing is in the cache yet, so nothing before it matters.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var sighting = Sighting.At(clock);
        var head = await ledger.GetHeadAsync(cancellationToken);
        Restart(head);
        _lastSeen = sighting;
    }

    /// <summary>Demands that what is in memory may be decided by: completes at once while the ledger was seen a moment ago.</summary>
    /// <exception cref="StoreUnavailableException">It has not been seen for longer than <see cref="LedgerFollowerOptions.MaxStaleness"/>.</exception>
    public ValueTask EnsureTrustAsync()
    {
        if (_lastSeen is { } seen && seen.Elapsed(clock) <= _freshFor)
            return default;
        return new ValueTask(RefreshAsync());
    }

    /// <summary>Does the ledger reach this seq? It is read on first when this node has not come so far. What claims to be from further on is not of this ledger.</summary>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public async ValueTask<bool> ReachesAsync(long seq)
    {
        if (Seen.Seq < seq)
            await CatchUpAsync();
        return Seen.Seq >= seq;
    }

    /// <summary>Reads on from what was seen. One query runs at a time; all who ask while one runs share the next, so theirs begins after they came.</summary>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public Task CatchUpAsync()
    {
        lock (_lock)
            return _nextQuery ??= Task.Run(QueryAsync);
    }

    /// <summary>
    /// Takes events this node committed itself: whatever they name is dropped before this returns. False when others came before them, which the
    /// next look at the ledger brings.
    /// </summary>
    public bool TryApply(IReadOnlyList<LedgerEvent> committed)
    {
        lock (_lock)
        {
            if (committed.Count == 0 || committed[0].Seq <= _seen.Seq + 1)
            {
                Apply(committed);
                return true;
            }

            foreach (var entry in committed)
                Drop(entry);
            return false;
        }
    }

    public void Dispose() => _oneQuery.Dispose();

    private void Apply(IReadOnlyList<LedgerEvent> events)
    {
        lock (_lock)
        {
            foreach (var entry in events.Where(entry => entry.Seq > _seen.Seq))
            {
                if (!entry.Follows(_seen))
                {
                    IsBroken = true;
                    Forget(entry.Seq);
                }

                Drop(entry);
                _seen = entry.Position;
            }
        }
    }

    /// <summary>Says that the ledger itself does not hold together.</summary>
    public void ReportBroken() => IsBroken = true;

    private async Task RefreshAsync()
    {
        // After a failure nobody waits for another one until the next poll.
        if (!(_lastFailed?.Elapsed(clock) < options.PollInterval))
        {
            try
            {
                await CatchUpAsync();
            }
            catch (StoreUnavailableException) when (IsReady)
            {
                return;
            }
        }

        if (!IsReady)
            throw new StoreUnavailableException("The ledger has not been seen for too long.");
    }

    private async Task QueryAsync()
    {
        await _oneQuery.WaitAsync();
        try
        {
            lock (_lock)
                _nextQuery = null;

            var sighting = Sighting.At(clock);
            try
            {
                while (await ReadPageAsync() == PageSize)
                    continue;
                _lastSeen = sighting;
                _lastFailed = null;
            }
            catch (StoreUnavailableException)
            {
                _lastFailed = sighting;
                throw;
            }
        }
        finally
        {
            _oneQuery.Release();
        }
    }

    private async Task<int> ReadPageAsync()
    {
        // The last event seen is read again: a ledger that no longer holds it is another ledger.
        var seen = Seen;
        var page = await ledger.ReadFromAsync(Math.Max(seen.Seq, 1), PageSize, CancellationToken.None);
        if (seen.Seq > 0 && (page.Count == 0 || page[0].Position != seen))
        {
            IsBroken = true;
            Restart(await ledger.GetHeadAsync(CancellationToken.None));
            return 0;
        }

        Apply(page);
        return page.Count;
    }

    private void Restart(LedgerPosition head)
    {
        lock (_lock)
        {
            _seen = head;
            Forget(head.Seq);
        }
    }

    private void Drop(LedgerEvent entry)
    {
        if (!entry.Type.StartsWith(EventType.OfKeys, StringComparison.Ordinal) || !KeyId.TryParse(entry.Subject, out var id))
            return;

        changes.Add(entry.Seq, id);
        directory.Drop(id);
    }

    // In this order: a read that runs meanwhile is no longer trusted by the time the cache is emptied, so it cannot be kept after it.
    private void Forget(long before)
    {
        changes.Restart(before, "0");
        directory.Clear();
    }

    /// <summary>A moment by both clocks: a node that slept, or whose clock jumped, counts the larger of the two.</summary>
    private sealed record Sighting(long Timestamp, DateTimeOffset Time)
    {
        public static Sighting At(TimeProvider clock) => new(clock.GetTimestamp(), clock.GetUtcNow());

        public TimeSpan Elapsed(TimeProvider clock)
        {
            var monotonic = clock.GetElapsedTime(Timestamp);
            var wall = clock.GetUtcNow() - Time;
            return monotonic > wall ? monotonic : wall;
        }
    }
}
