using Mira.Application.Settings;

namespace Mira.Infrastructure.Background;

/// <summary>How the records of keys are looked through.</summary>
public sealed record RowOptions
{
    internal const string TakeSetting = "Mira__Integrity__TakeUnsigned";

    /// <summary>
    /// Are records without a MAC believed and signed once though the ledger is not whole?
    /// <c>Mira__Integrity__TakeUnsigned</c>, false by default; for the first start of this version on a store whose
    /// ledger was broken before.
    /// </summary>
    public bool TakesUnsigned { get; init; }

    /// <summary>How many records are looked at in one step.</summary>
    public int Page { get; init; } = 200;

    /// <summary>How many events are looked through in one step for keys that have no record any more.</summary>
    public int Stretch { get; init; } = 2_000;

    /// <summary>Between two steps.</summary>
    public TimeSpan Pace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between two steps while records are to be signed.</summary>
    public TimeSpan Haste { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>From the end of one look through all of them to the next.</summary>
    public TimeSpan Rest { get; init; } = TimeSpan.FromSeconds(30);

    /// <exception cref="SettingException">The setting is neither true nor false.</exception>
    public static RowOptions Read(SettingReader settings) => new() { TakesUnsigned = settings.Truth(TakeSetting, null, false) };
}
