using System.Runtime.InteropServices;
using Mira.Domain.Tokens;

namespace Mira.Application.Verification;

/// <summary>
/// Remembers for the last key-changing events which key they named, so that what was read before such an event is never
/// trusted after it: neither a slow read nor a late write of a cache can bring back a revoked key. No clock is
/// involved.
/// </summary>
/// <param name="capacity">How many changes are remembered.</param>
public sealed class RecentChanges(int capacity = RecentChanges.DefaultCapacity)
{
    public const int DefaultCapacity = 100_000;

    private readonly Lock _lock = new();
    private readonly Queue<(long Seq, KeyId Id)> _order = new();
    private readonly Dictionary<KeyId, long> _newest = [];
    private long _floor;

    /// <summary>How many changes are remembered; what was read before the oldest of them is not trusted.</summary>
    public int Capacity => capacity;

    /// <summary>
    /// Names the ledger whose seqs these are. Part of the name of every entry that is kept outside this process: what
    /// another ledger's seqs vouched for must never be found again.
    /// </summary>
    public string Epoch { get; private set; } = "";

    /// <summary>
    /// Forgets everything; only what is read at this seq or later can be trusted, and what was kept under another epoch
    /// never.
    /// </summary>
    public void Restart(long floor, string epoch)
    {
        lock (_lock)
        {
            _order.Clear();
            _newest.Clear();
            _floor = floor;
            Epoch = epoch;
        }
    }

    public void Add(long seq, KeyId id)
    {
        lock (_lock)
        {
            ref var newest = ref CollectionsMarshal.GetValueRefOrAddDefault(_newest, id, out var isKnown);
            // An event may be told twice, and the events of several nodes in another order than the ledger's. A newer
            // one stands for this one too.
            if (isKnown && seq <= newest)
                return;

            newest = seq;
            _order.Enqueue((seq, id));
            if (_order.Count <= capacity)
                return;

            // What is forgotten can no longer be checked for, so nothing older than it is trusted.
            var (forgotten, forgottenId) = _order.Dequeue();
            _floor = Math.Max(forgotten, _floor);
            if (_newest.TryGetValue(forgottenId, out var left) && left == forgotten)
                _newest.Remove(forgottenId);
        }
    }

    /// <summary>Is nothing known that happened to the key after this position of the ledger?</summary>
    public bool Trusts(KeyId id, long asOf)
    {
        lock (_lock)
            return asOf >= _floor && (!_newest.TryGetValue(id, out var newest) || newest <= asOf);
    }
}
