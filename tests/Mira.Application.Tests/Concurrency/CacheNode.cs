using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests.Concurrency;

/// <summary>
/// A node's cache and follower over a ledger, a store and a shared cache that pause wherever a network would.
/// </summary>
internal sealed class CacheNode : IDisposable, IKeyStore, ILedgerReader, ISharedKeyCache
{
    private const int Versions = 8;

    // A key as it was made, and after each of its changes: the object tells which.
    private static readonly ApiKey[][] Keys = [.. Enumerable.Range(0, 2).Select(_ => VersionsOf(new HeldKey()))];

    private readonly Schedule _schedule;
    private readonly FakeLedgerReader _ledger = new();
    private readonly List<KeyEntry> _shared = [];

    public CacheNode(Schedule schedule)
    {
        _schedule = schedule;
        // Two changes are remembered, so that some are forgotten in every schedule.
        Changes = new RecentChanges(capacity: 2);
        var lazy = new Lazy<LedgerPoller>(() => Follower!);
        var clock = new TwoClocks();
        var marks = new LedgerHashes(this, Changes);
        var shared = new SharedKeys(this, Changes, lazy, marks, HeldKey.Peppers, new AggregatedEvents(clock));
        Directory = new KeyCache(this, Changes, new KeyCacheOptions { CacheSize = 100 }, shared);
        Follower = new LedgerPoller(this, Changes, Directory, new LedgerPollerOptions { IsShared = true }, clock);
    }

    public static IReadOnlyList<KeyId> Ids { get; } = [.. Keys.Select(versions => versions[0].Id)];

    public RecentChanges Changes { get; }

    public KeyCache Directory { get; }

    public LedgerPoller Follower { get; }

    public IReadOnlyList<LedgerEvent> Events => _ledger.Events;

    public bool IsAvailable => true;

    /// <summary>The fault of a store that reads the ledger's position in a second statement.</summary>
    public bool ReadsPositionApart { get; init; }

    /// <summary>How often a key was changed, up to this place of the ledger.</summary>
    public int VersionAt(KeyId id, long seq) =>
        _ledger.Events.Count(entry => entry.Seq <= seq && entry.Subject == id.Value);

    public static int VersionOf(KeyEntry entry) => Array.IndexOf(Keys[Ids[0] == entry.Id ? 0 : 1], entry.Key);

    public static KeyId IdOf(LedgerEvent entry) => Ids.Single(id => id.Value == entry.Subject);

    public KeyId DrawKey() => Ids[_schedule.Random.Next(Ids.Count)];

    /// <summary>A node commits a change; nobody has heard of it yet.</summary>
    public LedgerEvent Commit(KeyId id) => _ledger.Append(id);

    /// <summary>Waits for the next query of the follower, as all do who must know what is in the ledger now.</summary>
    public Task CatchUpAsync() => _schedule.Watch(Follower.CatchUpAsync());

    /// <summary>
    /// Finds a key, and holds it against what the node had heard of it before. An overload is no answer, and allowed.
    /// </summary>
    public async Task FindAsync(KeyId id, Func<KeyId, int> heard)
    {
        var least = heard(id);
        try
        {
            var entry = await Directory.FindAsync(id);
            if (VersionOf(entry) < least)
                throw new ScheduleException($"version {VersionOf(entry)} was found after version {least} was known");
        }
        catch (OverloadedException)
        {
            // It changed three times while it was read.
        }
    }

    public void Dispose() => Follower.Dispose();

    async Task<KeyEntry> IKeyStore.ReadAsync(KeyId id, CancellationToken cancellationToken)
    {
        await _schedule.PauseAsync();
        var at = Head();
        var key = Keys[Ids[0] == id ? 0 : 1][VersionAt(id, at.Seq)];
        await _schedule.PauseAsync();
        if (ReadsPositionApart)
            at = Head();
        return new KeyEntry(id, key, at.Seq, LedgerHashes.MarkOf(at.Hash));
    }

    async Task<IReadOnlyList<LedgerEvent>> ILedgerReader.ReadFromAsync(
        long seq, int limit, CancellationToken cancellationToken)
    {
        await _schedule.PauseAsync();
        var page = await _ledger.ReadFromAsync(seq, limit, cancellationToken);
        await _schedule.PauseAsync();
        return page;
    }

    Task<LedgerPosition> ILedgerReader.GetHeadAsync(CancellationToken cancellationToken) => Task.FromResult(Head());

    Task<LedgerOutline> ILedgerReader.GetOutlineAsync(int depth, CancellationToken cancellationToken) =>
        _ledger.GetOutlineAsync(depth, cancellationToken);

    // Any entry that was ever offered may be found, because a write may come late. Entries from further on than this
    // node has come would make it look at the ledger; they are not there yet.
    async ValueTask<SharedEntry> ISharedKeyCache.FindAsync(KeyId id, string epoch)
    {
        await _schedule.PauseAsync();
        var offered = _shared.FindAll(entry => entry.Id == id && entry.AsOf <= Follower.Seen.Seq);
        var drawn = _schedule.Random.Next(offered.Count + 1);
        return new SharedEntry(drawn == offered.Count ? null : offered[drawn], IsForged: false);
    }

    void ISharedKeyCache.Offer(KeyEntry entry, string epoch) => _shared.Add(entry);

    Task<IReadOnlyList<(ApiKey Key, long Seq)>> IKeyStore.FindAsync(
        KeyFilter filter, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    Task<IReadOnlyList<LedgerEvent>> ILedgerReader.FindAsync(EventFilter filter, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    private LedgerPosition Head() => _ledger.Events is [.., var last] ? last.Position : LedgerPosition.Start;

    private static ApiKey[] VersionsOf(HeldKey held) =>
        [held.Key, .. Enumerable.Range(1, Versions - 1).Select(_ => held.RevokedCopy().Key)];
}
