using Mira.Domain.Keys;

namespace Mira.Application.Limits;

/// <summary>The windows that all nodes charge together. A key has one, whatever its secrets.</summary>
public interface ISharedLimits
{
    /// <summary>False while it does not answer; then each node goes by its own windows.</summary>
    bool IsAvailable { get; }

    /// <summary>
    /// Takes tokens from the key's window of 60 s: <paramref name="wanted"/> if so many are left, else what is left, but nothing when that is
    /// less than <paramref name="needed"/>. What is taken counts from now for 60 s and <paramref name="life"/>, because it may be used that much later.
    /// </summary>
    /// <param name="limit">Calls a minute.</param>
    /// <param name="needed">0 to <paramref name="wanted"/>; 0 with 0 wanted asks without taking.</param>
    /// <param name="life">How long after this call began the tokens may be used.</param>
    /// <returns>Null when there was no answer in time. It may then have been taken all the same, and is never used.</returns>
    ValueTask<Grant?> TakeAsync(KeyId key, int limit, int needed, int wanted, TimeSpan life);
}

/// <summary>What was taken from a shared window, and how that stands after it.</summary>
/// <param name="Tokens">0 when it was refused.</param>
/// <param name="Remaining">Tokens nobody has taken.</param>
/// <param name="ResetIn">Until the oldest counted tokens leave the window; zero when nothing is counted.</param>
public readonly record struct Grant(int Tokens, int Remaining, TimeSpan ResetIn);
