using System.Security.Cryptography;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// Follows the ledger, so that this node's cache never holds what an event has changed. It checks each event's hash and
/// place as it goes; a ledger that is behind or other than what was seen (restored, failed over, edited) empties the
/// cache and is said to be broken.
/// </summary>
/// <param name="source">The source of truth of keys, when that is not the ledger's own database; it must have been seen
/// lately too.</param>
public sealed class LedgerPoller(
    ILedgerReader ledger, RecentChanges changes, KeyCache directory, LedgerPollerOptions options, TimeProvider clock,
    IKeySource? source = null, LedgerCounters? tally = null) : IDisposable
{
    /// <summary>What is found of a ledger that does not reach as far as it did.</summary>
    public const string IsBehind = "ledger_behind";

    /// <summary>What is found of a ledger that holds another event in a place that was seen.</summary>
    public const string IsOther = "hash_differs";

    private const int PageSize = 1_000;

    /// <summary>Before any entry is trusted, the ledger was seen at most this long ago, or it was tried.</summary>
    private readonly TimeSpan _freshFor = TimeSpan.FromSeconds(Math.Min(2, options.MaxStaleness.TotalSeconds));
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _oneQuery = new(1, 1);
    private LedgerPosition _seen = LedgerPosition.Start;
    private ClockReading? _lastSeen;
    private ClockReading? _failed;
    private Task? _nextQuery;
    private int _failures;
    private volatile bool _isQuerying;
    private string? _violation;

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

    /// <summary>When the ledger was last seen, by this node's clock; null before the first time.</summary>
    public DateTimeOffset? LastSeenAt => _lastSeen?.Time;

    /// <summary>Could the ledger be read when it was last tried?</summary>
    public bool IsReachable => _failed is null;

    /// <summary>Reads of the ledger that failed, since the start.</summary>
    public long Failures => Volatile.Read(ref _failures);

    public bool IsReady => Staleness <= options.MaxStaleness && source is null or { IsReady: true };

    /// <summary>Can another node have changed what this one has not heard of yet?</summary>
    public bool IsShared => options.IsShared;

    /// <summary>What was found wrong with the ledger and is not recorded in it yet; null when nothing is.</summary>
    public string? Violation => Volatile.Read(ref _violation);

    /// <summary>Reads where the ledger stands now, and which keys its last events named.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var sighting = ClockReading.At(clock);
        // What this node alone wrote to nobody else has kept, and reading it again is cheap.
        var outline = await ledger.GetOutlineAsync(IsShared ? changes.Capacity : 0, cancellationToken);
        lock (_lock)
        {
            _seen = outline.Head;
            Forget(outline.Floor, outline.Epoch);
            foreach (var (seq, id) in outline.Changes)
                changes.Add(seq, id);
        }

        _lastSeen = sighting;
    }

    /// <summary>
    /// Demands that what is in memory may be decided by: completes at once while the ledger was seen a moment ago.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It has not been seen for longer than
    /// <see cref="LedgerPollerOptions.MaxStaleness"/>.</exception>
    public ValueTask EnsureTrustAsync()
    {
        if (_lastSeen is { } seen && seen.Elapsed(clock) <= _freshFor && source is null or { IsReady: true })
            return default;
        return new ValueTask(RefreshAsync());
    }

    /// <summary>
    /// Reads on, for a caller whom what is in memory would refuse. While the ledger cannot be read nobody waits for
    /// another failure: one who comes after it goes on with what is known, until the poll finds it again.
    /// </summary>
    /// <exception cref="StoreUnavailableException">It has not been seen for longer than
    /// <see cref="LedgerPollerOptions.MaxStaleness"/>.</exception>
    public async Task RefreshAsync()
    {
        if (!IsFailing)
        {
            try
            {
                await CatchUpAsync();
            }
            catch (Exception) when (IsReady)
            {
                return;
            }
            catch (Exception exception) when (exception is not StoreUnavailableException)
            {
                throw new StoreUnavailableException("The ledger cannot be followed.", exception);
            }
        }

        if (!IsReady)
            throw new StoreUnavailableException("The ledger has not been seen for too long.");
    }

    /// <summary>
    /// Does the ledger reach this seq? It is read on first when this node has not come so far. What claims to be from
    /// further on is not of this ledger.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public async ValueTask<bool> ReachesAsync(long seq)
    {
        if (Seen.Seq < seq)
            await CatchUpAsync();
        return Seen.Seq >= seq;
    }

    /// <summary>
    /// Reads on from what was seen. One query runs at a time; all who ask while one runs share the next, so theirs
    /// begins after they came.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public Task CatchUpAsync()
    {
        lock (_lock)
        {
            var failures = _failures;
            return _nextQuery ??= Task.Run(() => QueryAsync(failures));
        }
    }

    /// <summary>
    /// Takes events this node committed itself: whatever they name is dropped before this returns. False when they do
    /// not go on from what was seen, because others came before them or the ledger is another one; the next look at it
    /// brings that.
    /// </summary>
    public bool TryApply(IReadOnlyList<LedgerEvent> committed)
    {
        lock (_lock)
        {
            if (committed.Count == 0 || committed[0].Seq == _seen.Seq + 1 || committed.Any(entry => entry.Position == _seen))
            {
                Apply(committed);
                return true;
            }

            foreach (var entry in committed)
                Drop(entry);
            return false;
        }
    }

    /// <summary>Says that the ledger itself does not hold together.</summary>
    public void ReportBroken() => IsBroken = true;

    /// <summary>
    /// Says that the ledger is not the one that was there before; what of it was remembered anywhere is believed no
    /// more.
    /// </summary>
    public void ReportReplaced(string finding)
    {
        lock (_lock)
            Break(finding, _seen.Seq);
    }

    /// <summary>
    /// Empties the caches, because it is not known what a failure has left in them. Nothing that was read before this
    /// position is believed.
    /// </summary>
    public void Distrust(long seq)
    {
        lock (_lock)
            Forget(Math.Max(seq, _seen.Seq), changes.Epoch);
    }

    /// <summary>Says that the violation is in the ledger now.</summary>
    public void MarkRecorded(string violation) => Interlocked.CompareExchange(ref _violation, null, violation);

    public void Dispose() => _oneQuery.Dispose();

    private bool IsFailing => _failed is { } failed && (_isQuerying || failed.Elapsed(clock) < options.PollInterval);

    private void Apply(IReadOnlyList<LedgerEvent> events)
    {
        lock (_lock)
        {
            foreach (var entry in events.Where(entry => entry.Seq > _seen.Seq))
            {
                if (!entry.Follows(_seen))
                    Break("chain_broken", entry.Seq);
                if (UnauthenticatedHead.IsToldBy(entry))
                    ReportBroken();

                if (LedgerEpoch.StartedBy(entry) is { } epoch)
                    Forget(entry.Seq, epoch);
                else
                    Drop(entry);
                _seen = entry.Position;
                tally?.Note(entry);
            }
        }
    }

    private async Task QueryAsync(int failuresBefore)
    {
        await _oneQuery.WaitAsync();
        try
        {
            lock (_lock)
                _nextQuery = null;

            // Who waited behind a query that failed need not wait for the same failure again.
            if (Volatile.Read(ref _failures) != failuresBefore)
                throw new StoreUnavailableException("The ledger cannot be read.");

            _isQuerying = true;
            var sighting = ClockReading.At(clock);
            try
            {
                while (await ReadPageAsync() == PageSize)
                    continue;
                _lastSeen = sighting;
                _failed = null;
            }
            catch
            {
                _failed = ClockReading.At(clock);
                Interlocked.Increment(ref _failures);
                throw;
            }
            finally
            {
                _isQuerying = false;
            }
        }
        finally
        {
            _oneQuery.Release();
        }
    }

    private async Task<int> ReadPageAsync()
    {
        // The last event seen is read again, twice when it is missing: a statement that began on a standby while that
        // was promoted may not see it.
        var seen = Seen;
        var page = await ledger.ReadFromAsync(Math.Max(seen.Seq, 1), PageSize, CancellationToken.None);
        if (!HoldsSeen(page) && !HoldsSeen(page = await ledger.ReadFromAsync(Math.Max(seen.Seq, 1), PageSize, CancellationToken.None)))
        {
            var head = await ledger.GetHeadAsync(CancellationToken.None);
            lock (_lock)
            {
                _seen = head;
                Break(head.Seq < seen.Seq ? IsBehind : IsOther, head.Seq);
                return 0;
            }
        }

        Apply(page);
        return page.Count;
        bool HoldsSeen(IReadOnlyList<LedgerEvent> read) => seen.Seq == 0 || (read.Count > 0 && read[0].Position == seen);
    }

    // Under a name that nobody shares, until the event that records it gives the new epoch's.
    private void Break(string violation, long floor)
    {
        IsBroken = true;
        Volatile.Write(ref _violation, violation);
        Forget(floor, $"unrecorded-{RandomNumberGenerator.GetHexString(16)}");
    }

    private void Drop(LedgerEvent entry)
    {
        if (!entry.ChangesKey || !KeyId.TryParse(entry.Subject, out var id))
            return;

        changes.Add(entry.Seq, id);
        directory.Drop(id);
    }

    // In this order: a read that runs meanwhile is no longer trusted by the time the cache is emptied, so it cannot be
    // kept after it.
    private void Forget(long floor, string epoch)
    {
        changes.Restart(floor, epoch);
        directory.Clear();
    }
}
