namespace Mira.Application.Ledger;

/// <summary>
/// The store cannot be read, and what is known of it is too old to decide by; or a change cannot be written to the
/// source of truth.
/// </summary>
public sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>When another attempt can make sense; null for soon.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>A change could not be recorded, so it did not happen, or it is not known whether it did.</summary>
public sealed class LedgerUnavailableException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>True when the store went away in the middle of the commit and did not come back to be asked.</summary>
    public bool IsUndecided { get; init; }
}

/// <summary>There is more to do than this node can take; the same call may work in a moment.</summary>
public sealed class OverloadedException(string message) : Exception(message);
