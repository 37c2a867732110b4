using System.Text.Json;

namespace Mira.Application.Ledger;

/// <summary>The answer to a change that may be asked for twice.</summary>
/// <param name="KeyVersion">The key's version right after the change.</param>
/// <param name="Replayed">True when it repeats an earlier answer; then its token is null.</param>
public sealed record IdempotentResult<T>(T Body, int KeyVersion, bool Replayed = false)
    where T : IShowsTokenOnce<T>;

/// <summary>An answer that holds a token, which must not be stored.</summary>
public interface IShowsTokenOnce<out T>
{
    T WithoutToken();
}

internal static class IdempotentChange
{
    /// <summary>
    /// Acts once for each repeat: looked up after the lock and before the key's state, remembered in the change's own
    /// transaction.
    /// </summary>
    /// <exception cref="IdempotencyMismatchException">The same idempotency key came with another request.</exception>
    public static async Task<IdempotentResult<T>> OnceAsync<T>(this ILedgerChange change, IdempotentRequest? repeat, Func<Task<IdempotentResult<T>>> act)
        where T : IShowsTokenOnce<T>
    {
        if (repeat is null)
            return await act();

        if (await change.FindAnswerAsync(repeat) is { } known)
        {
            return known.Fingerprint == repeat.Fingerprint
                ? JsonSerializer.Deserialize<IdempotentResult<T>>(known.Answer)! with { Replayed = true }
                : throw new IdempotencyMismatchException();
        }

        var receipt = await act();
        change.Remember(repeat, JsonSerializer.Serialize(receipt with { Body = receipt.Body.WithoutToken() }));
        return receipt;
    }
}

public sealed class IdempotencyMismatchException()
    : Exception("The Idempotency-Key was used for another request.");
