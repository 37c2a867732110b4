namespace Mira.Application.Verification;

/// <summary>
/// The source of truth of keys, when that is not the store they are verified from: how that stands, without waiting for
/// it.
/// </summary>
public interface IKeySource
{
    /// <summary>
    /// Has it been read whole once, and seen lately enough that keys may be verified by what was read?
    /// </summary>
    bool IsReady { get; }

    KeySourceHealth Health { get; }
}

/// <summary>The state of the source of truth.</summary>
/// <param name="IsAvailable">Did it answer the last time it was looked at?</param>
/// <param name="Findings">Keys whose records are not as they were left, and are refused or wait for repair.</param>
/// <param name="Vanished">Records that were gone at once, too many to believe; else 0.</param>
/// <param name="SeenSecondsAgo">How long ago it was last looked through; null before the first time.</param>
public sealed record KeySourceHealth(bool IsAvailable, int Findings, int Vanished, double? SeenSecondsAgo)
{
    public bool IsWell => IsAvailable && Findings == 0 && Vanished == 0;
}
