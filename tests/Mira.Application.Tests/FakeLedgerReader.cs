using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests;

/// <summary>A ledger in memory that can be down, slow, or another one than before.</summary>
internal sealed class FakeLedgerReader : ILedgerReader
{
    private readonly Lock _lock = new();
    private readonly List<LedgerEvent> _events = [];
    private Gate? _gate;
    private int _reads;

    public bool IsDown { get; set; }

    /// <summary>What each read throws; null for nothing.</summary>
    public Exception? Fault { get; set; }

    /// <summary>How many pages were read.</summary>
    public int Reads => Volatile.Read(ref _reads);

    public EventFilter? LastFilter { get; private set; }

    public IReadOnlyList<LedgerEvent> Events
    {
        get
        {
            lock (_lock)
                return [.. _events];
        }
    }

    public static LedgerEvent Next(LedgerPosition head, string? subject, string type = EventType.KeyUpdated) =>
        LedgerEvent.Append(head, HeldKey.Start, new PendingEvent(type, Actor.System, subject, null));

    public LedgerEvent Append(KeyId? subject = null)
    {
        lock (_lock)
        {
            var appended = Next(_events.Count == 0 ? LedgerPosition.Start : _events[^1].Position, subject?.Value);
            _events.Add(appended);
            return appended;
        }
    }

    /// <summary>A backup is restored: what came after this seq never happened.</summary>
    public void RollBackTo(int seq)
    {
        lock (_lock)
            _events.RemoveRange(seq, _events.Count - seq);
    }

    /// <summary>Somebody writes to the table.</summary>
    public void Edit(int seq, Func<LedgerEvent, LedgerEvent> edit)
    {
        lock (_lock)
            _events[seq - 1] = edit(_events[seq - 1]);
    }

    /// <summary>The next read stops once it has begun, until the gate is opened.</summary>
    public Gate HoldNextRead() => _gate = new Gate();

    public Task<LedgerPosition> GetHeadAsync(CancellationToken cancellationToken)
    {
        DemandUp();
        lock (_lock)
            return Task.FromResult(_events.Count == 0 ? LedgerPosition.Start : _events[^1].Position);
    }

    public Task<LedgerOutline> GetOutlineAsync(int depth, CancellationToken cancellationToken)
    {
        DemandUp();
        var events = Events;
        var head = events.Count == 0 ? LedgerPosition.Start : events[^1].Position;
        var floor = Math.Max(0, head.Seq - depth);
        var named = events.Where(entry => entry.Seq > floor && entry.Subject is not null).Select(entry => (entry.Seq, Parse(entry.Subject!)));
        return Task.FromResult(new LedgerOutline(head, events.Select(LedgerEpoch.StartedBy).LastOrDefault(epoch => epoch is not null) ?? "", floor, [.. named]));
    }

    public async Task<IReadOnlyList<LedgerEvent>> ReadFromAsync(long seq, int limit, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _reads);
        if (Interlocked.Exchange(ref _gate, null) is { } gate)
            await gate.PassAsync();
        DemandUp();
        lock (_lock)
            return [.. _events.Where(entry => entry.Seq >= seq).Take(limit)];
    }

    public Task<IReadOnlyList<LedgerEvent>> FindAsync(EventFilter filter, CancellationToken cancellationToken)
    {
        LastFilter = filter;
        return Task.FromResult<IReadOnlyList<LedgerEvent>>([.. Events.Reverse().Where(entry => !(entry.Seq >= filter.Before)).Take(filter.Limit)]);
    }

    private static KeyId Parse(string text) => KeyId.TryParse(text, out var id) ? id : throw new FormatException(text);

    private void DemandUp()
    {
        if (Fault is not null)
            throw Fault;
        if (IsDown)
            throw new StoreUnavailableException("down");
    }
}
