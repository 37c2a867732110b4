using System.Data.Common;
using Mira.Application.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Background;

/// <summary>Writes a batch so that an element that cannot be written does not hold up the others.</summary>
internal static class BatchWrite
{
    /// <summary>
    /// Writes all at once, and in halves what fails, down to single elements. An element counts as refused when the
    /// database refuses its data, or when others of the batch were written and it was not. Everything else is the
    /// store's own failure, and is left for the next time.
    /// </summary>
    /// <param name="write">Writes all it is given, or nothing.</param>
    /// <param name="refuse">Told of each element that is given up.</param>
    public static async Task<Rest<T>> RunAsync<T>(IReadOnlyList<T> batch, Func<IReadOnlyList<T>, Task> write, Action<T, Exception> refuse)
    {
        var waiting = new Stack<IReadOnlyList<T>>([batch]);
        var doubtful = new List<(T Element, Exception Cause)>();
        var isAnyWritten = false;
        while (waiting.TryPop(out var part))
        {
            try
            {
                await write(part);
                isAnyWritten = true;
            }
            catch (Exception exception) when (IsTheStores(exception))
            {
                return new Rest<T>([.. part, .. waiting.SelectMany(next => next), .. doubtful.Select(one => one.Element)], exception);
            }
            catch (Exception exception) when (part.Count == 1)
            {
                doubtful.Add((part[0], exception));
            }
            catch (Exception)
            {
                // The element at fault is in one half; the first half is tried first.
                waiting.Push([.. part.Skip(part.Count / 2)]);
                waiting.Push([.. part.Take(part.Count / 2)]);
            }
        }

        var refused = doubtful.ToLookup(one => isAnyWritten || !IsUnknown(one.Cause));
        foreach (var (element, cause) in refused[true])
            refuse(element, cause);
        return new Rest<T>([.. refused[false].Select(one => one.Element)], refused[false].Select(one => one.Cause).FirstOrDefault());
    }

    /// <summary>
    /// Does the failure say that the store is away, full or busy, and nothing about what was written?
    /// </summary>
    private static bool IsTheStores(Exception exception) => exception switch
    {
        OverloadedException => true,
        LedgerUnavailableException { InnerException: DbException cause } => RefusedData.IsTheStores(cause),
        LedgerUnavailableException => true,
        _ => false,
    };

    private static bool IsUnknown(Exception exception) => exception is LedgerUnavailableException { InnerException: DbException cause } && !RefusedData.Caused(cause);
}

/// <param name="Left">What is to be written another time.</param>
/// <param name="Cause">Why; null when nothing is left.</param>
internal sealed record Rest<T>(IReadOnlyList<T> Left, Exception? Cause);
