using Mira.Domain.Tokens;

namespace Mira.Application.Limits;

/// <summary>The windows that all nodes charge together. A key has one, whatever its secrets.</summary>
public interface ISharedLimits
{
    /// <summary>
    /// False while it does not answer; then <see cref="LimitOptions.WithoutRedis"/> says what a node does.
    /// </summary>
    bool IsAvailable { get; }

    /// <summary>
    /// Nodes that announced themselves in the last minute, this one included, as it was last told. At least 1.
    /// </summary>
    int NodesSeen { get; }

    /// <summary>
    /// Takes tokens from the key's window of 60 s: <paramref name="wanted"/> if so many are left, else what is left,
    /// but nothing when that is less than <paramref name="needed"/>. What is taken counts from now for 60 s and
    /// <paramref name="life"/>, because it may be used that much later.
    /// </summary>
    /// <param name="limit">Calls a minute.</param>
    /// <param name="needed">0 to <paramref name="wanted"/>; 0 with 0 wanted asks without taking.</param>
    /// <param name="life">How long after this call began the tokens may be used.</param>
    /// <param name="settlement">What this node has to say about the window before it takes anything.</param>
    /// <returns>Null when the windows do not answer. Tokens may have been taken all the same, and are never used. A
    /// slow node alone never leads to null.</returns>
    /// <exception cref="Ledger.OverloadedException">This node is too slow to hear the answer.</exception>
    ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life, Settlement settlement = default);
}

/// <summary>What was taken from a shared window, and how that stands after it.</summary>
/// <param name="Tokens">0 when it was refused.</param>
/// <param name="Remaining">Tokens nobody has taken.</param>
/// <param name="ResetIn">Until the oldest counted tokens leave the window; zero when nothing is counted.</param>
/// <param name="Bucket">Names the bucket the tokens are counted in, so that unused ones can be returned.</param>
public readonly record struct Grant(int Tokens, int Remaining, TimeSpan ResetIn, long Bucket = 0);

/// <summary>
/// Corrections of a shared window: tokens this node never used, and calls it admitted while the window did not answer.
/// </summary>
/// <param name="Unused">Tokens of <paramref name="Bucket"/> that were granted and can no longer be used. They are free
/// again.</param>
/// <param name="Bucket">From the grant.</param>
/// <param name="Owed">Calls to add to the window, even past its limit.</param>
/// <param name="OwedFor">How long they count from now.</param>
public readonly record struct Settlement(int Unused, long Bucket, int Owed, TimeSpan OwedFor);

/// <summary>The shared windows do not answer, and this node must not decide without them.</summary>
public sealed class LimitsUnavailableException() : Exception("The shared rate limits do not answer.");
