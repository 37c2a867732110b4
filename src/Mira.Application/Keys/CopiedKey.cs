using Mira.Domain.Tokens;

namespace Mira.Application.Keys;

/// <summary>What became of one key when the keys of a store were copied into another.</summary>
/// <param name="Problem">Why it failed; else null.</param>
public sealed record CopiedKey(KeyId KeyId, CopyResult Result, string? Problem = null);

/// <summary>How the copying of one key ended.</summary>
public enum CopyResult
{
    Copied,

    /// <summary>It is not there, and nothing is written this time.</summary>
    WouldCopy,

    /// <summary>It is there already, in the same state.</summary>
    Same,

    /// <summary>It is there already in another state, and left as it is.</summary>
    Differs,

    Failed,
}
