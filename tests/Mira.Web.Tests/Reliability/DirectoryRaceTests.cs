using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Web.Tests.Reliability;

/// <summary>The same without HTTP between, where the moments that matter are thousands of times as frequent.</summary>
internal sealed class DirectoryRaceTests
{
    private const int Readers = 6;

    [Test]
    public async Task What_was_read_before_a_change_is_never_found_after_it()
    {
        var store = new CountingStore();
        var changes = new RecentChanges();
        var directory = new KeyCache(store, changes, new KeyCacheOptions { CacheSize = 100, ColdReads = 1000 });
        var id = KeyId.Generate();
        var done = false;
        var shown = 0L;
        var stale = 0L;
        var readers = Enumerable.Range(0, Readers).Select(_ => Task.Run(async () =>
        {
            while (!Volatile.Read(ref done))
            {
                var known = Volatile.Read(ref shown);
                try
                {
                    if ((await directory.FindAsync(id)).AsOf < known)
                        Interlocked.Increment(ref stale);
                }
                catch (OverloadedException)
                {
                    // It changes faster than it can be read, which is said and not hidden.
                }
            }
        })).ToList();

        // Others who ask what changed make everybody wait a little longer at the worst moments.
        var askers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            while (!Volatile.Read(ref done))
                changes.Trusts(id, 0);
        })).ToList();

        for (var seq = 1L; seq <= Soak.RoundsOf(2_000_000); seq++)
        {
            // As the follower does: committed, then known, then dropped, then answered.
            store.Head = seq;
            changes.Add(seq, id);
            directory.Drop(id);
            Volatile.Write(ref shown, seq);
        }

        Volatile.Write(ref done, true);
        await Task.WhenAll([.. readers, .. askers]);
        Assert.That(stale, Is.Zero);
    }

    private sealed class CountingStore : IKeyStore
    {
        private long _head;

        public long Head
        {
            get => Interlocked.Read(ref _head);
            set => Interlocked.Exchange(ref _head, value);
        }

        public Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken) => Task.FromResult(new KeyEntry(id, null, Head));

        public Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }
}
