using Mira.Application.Settings;

namespace Mira.Application.Verification;

/// <summary>How far a node may fall behind the ledger.</summary>
public sealed record LedgerPollerOptions
{
    /// <summary>
    /// How long a node may trust its cache without having seen the ledger; <c>Mira__Verification__MaxStaleness</c>, 1 s
    /// to 1 h.
    /// </summary>
    public TimeSpan MaxStaleness { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the ledger is read when nothing else asks for it.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// How many changes of keys a node remembers, so that nothing that was read before one of them is believed after
    /// it; <c>Mira__Verification__RememberedChanges</c>, 10 to 10 000 000.
    /// </summary>
    public int RememberedChanges { get; init; } = RecentChanges.DefaultCapacity;

    /// <summary>Do other nodes write to the same ledger? Set by the choice of the store.</summary>
    public bool IsShared { get; init; }

    public static LedgerPollerOptions Read(SettingReader settings) => new()
    {
        MaxStaleness = settings.Duration(
            "Mira__Verification__MaxStaleness", new LedgerPollerOptions().MaxStaleness, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
        RememberedChanges = settings.Number("Mira__Verification__RememberedChanges", null, new LedgerPollerOptions().RememberedChanges, 10, 10_000_000),
    };
}
