using Mira.Application.Verification;

namespace Mira.Application.Tests;

/// <summary>Keys as a read of the store returns them.</summary>
internal static class ReadKeys
{
    /// <summary>The entry of a key that was read at a place of the ledger.</summary>
    /// <param name="ledger">The ledger that holds the event at that place; null for an event that no ledger
    /// holds.</param>
    public static KeyEntry At(this HeldKey held, long asOf, FakeLedgerReader? ledger = null) =>
        new(held.Id, held.Key, asOf, ledger?.Events.FirstOrDefault(entry => entry.Seq == asOf) is { } entry ? LedgerHashes.MarkOf(entry.Hash) : 1);
}
