using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Pipeline;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>A second node on the same database, with a cache and a gate of its own.</summary>
internal sealed class OtherNode : IDisposable
{
    private readonly SingleWriter _gate;
    private readonly SqlLedger _ledger;

    /// <param name="key">What it signs with; null for what all tests do.</param>
    /// <param name="hasTakenOver">Does it know that this key has signed before?</param>
    public OtherNode(Store store, AuditKey? key = null, bool hasTakenOver = false)
    {
        var changes = new RecentChanges();
        var directory = new KeyCache(store.Keys, changes, new KeyCacheOptions { CacheSize = 100 });
        _gate = new SingleWriter(store.Clock);
        Follower = new LedgerPoller(store.Reader, changes, directory, new LedgerPollerOptions(), store.Clock);
        var seal = new HeadSigner(key ?? Store.AuditKey, Follower, NullLogger<HeadSigner>.Instance);
        if (hasTakenOver)
            seal.TakeOver();
        _ledger = new SqlLedger(store, store.Sql, _gate, Follower, seal, store.Rows, new AuditScope(), NullLogger<SqlLedger>.Instance);
    }

    public LedgerPoller Follower { get; }

    public bool IsBroken => Follower.IsBroken;

    public Task AddAsync(HeldKey held) => _ledger.ChangeAsync(
        change =>
        {
            change.Add(held.Key);
            return Task.FromResult(true);
        },
        CancellationToken.None);

    public void Dispose()
    {
        Follower.Dispose();
        _gate.Dispose();
    }
}
