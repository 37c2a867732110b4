using System.Globalization;
using Mira.Application.Ledger;

namespace Mira.Application.Verification;

/// <summary>
/// Tells whether this ledger holds the event that an entry of the shared cache was made at: after a restore another one
/// may stand in its place. What was looked up is remembered, the last ones only.
/// </summary>
/// <param name="capacity">How many places are remembered.</param>
public sealed class LedgerHashes(ILedgerReader ledger, RecentChanges changes, int capacity = LedgerHashes.DefaultCapacity)
{
    public const int DefaultCapacity = 4_096;

    private const int MarkLength = 32;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, UInt128> _marks = [];
    private readonly Queue<long> _order = new();
    private string _epoch = "";

    /// <summary>Half of a hash is enough to tell two apart, and takes a quarter of the memory of its text.</summary>
    public static UInt128 MarkOf(string hash) =>
        UInt128.TryParse(hash.AsSpan(0, Math.Min(hash.Length, MarkLength)), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var mark) ? mark : default;

    /// <summary>
    /// Does the ledger have this event in this place? One read by its number when it is not remembered; an event that
    /// was pruned is not there.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The ledger cannot be read.</exception>
    public async ValueTask<bool> HoldsAsync(long seq, UInt128 mark)
    {
        if (mark == default)
            return false;
        if (Find(seq) is { } known)
            return known == mark;

        var epoch = changes.Epoch;
        var read = await ledger.ReadFromAsync(seq, 1, CancellationToken.None);
        if (read is not [var entry] || entry.Seq != seq)
            return false;

        Remember(seq, MarkOf(entry.Hash), epoch);
        return MarkOf(entry.Hash) == mark;
    }

    private UInt128? Find(long seq)
    {
        lock (_lock)
            return _epoch == changes.Epoch && _marks.TryGetValue(seq, out var mark) ? mark : null;
    }

    private void Remember(long seq, UInt128 mark, string epoch)
    {
        lock (_lock)
        {
            // What was remembered of another ledger says nothing about this one.
            if (_epoch != epoch)
            {
                _marks.Clear();
                _order.Clear();
                _epoch = epoch;
            }

            if (_marks.TryAdd(seq, mark))
                _order.Enqueue(seq);
            while (_order.Count > capacity)
                _marks.Remove(_order.Dequeue());
        }
    }
}
