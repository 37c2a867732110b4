using System.Collections.Concurrent;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Application.Tests;

/// <summary>A shared cache in memory, whose answers can be held and put by a test.</summary>
internal sealed class FakeSharedCache : ISharedKeyCache
{
    private Gate? _gate;

    public bool IsAvailable { get; set; } = true;

    public ConcurrentDictionary<(KeyId, string), SharedEntry> Entries { get; } = new();

    public ConcurrentQueue<(KeyEntry Entry, string Epoch)> Offers { get; } = new();

    public int Looks { get; private set; }

    public void Put(KeyEntry entry, string epoch = "") => Entries[(entry.Id, epoch)] = new SharedEntry(entry, IsForged: false);

    public Gate Hold() => _gate = new Gate();

    public async ValueTask<SharedEntry> FindAsync(KeyId id, string epoch)
    {
        Looks++;
        var found = Entries.GetValueOrDefault((id, epoch));
        if (Interlocked.Exchange(ref _gate, null) is { } gate)
            await gate.PassAsync();
        return found;
    }

    public void Offer(KeyEntry entry, string epoch) => Offers.Enqueue((entry, epoch));
}
