using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Lets the writers of this process through one after another: the database takes one at a time anyway, and would make
/// the others poll. It also knows whether the last write worked.
/// </summary>
public sealed class SingleWriter(TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _one = new(1, 1);
    private long _failures;
    private long _lastSuccess = clock.GetTimestamp();

    /// <summary>False from a write that failed until one that worked.</summary>
    public bool IsWritable { get; private set; } = true;

    public long Failures => Interlocked.Read(ref _failures);

    public TimeSpan SinceSuccess => clock.GetElapsedTime(Interlocked.Read(ref _lastSuccess));

    /// <exception cref="LedgerUnavailableException">The database cannot be written.</exception>
    /// <exception cref="OverloadedException">It took too long to get through.</exception>
    public async Task<T> RunAsync<T>(Func<Task<T>> write, CancellationToken cancellationToken)
    {
        var failuresBefore = Interlocked.Read(ref _failures);
        if (!await _one.WaitAsync(Patience, cancellationToken))
            throw new OverloadedException("Too many changes wait to be written.");

        try
        {
            // Who waited behind a write that failed shares its outcome, and need not wait for the same failure again.
            return Interlocked.Read(ref _failures) == failuresBefore
                ? await WriteAsync(write)
                : throw new LedgerUnavailableException("The ledger cannot be written.");
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task<T> WriteAsync<T>(Func<Task<T>> write)
    {
        try
        {
            var result = await write();
            Interlocked.Exchange(ref _lastSuccess, clock.GetTimestamp());
            IsWritable = true;
            return result;
        }
        catch (LedgerUnavailableException)
        {
            NoteFailure();
            throw;
        }
        catch (Exception exception) when (Cause(exception) is { } cause)
        {
            // A database that refuses what it is given can be written all the same.
            if (!RefusedData.Caused(cause))
                NoteFailure();
            throw new LedgerUnavailableException("The ledger cannot be written.", cause);
        }
    }

    private void NoteFailure()
    {
        Interlocked.Increment(ref _failures);
        IsWritable = false;
    }

    private static DbException? Cause(Exception exception) => exception switch
    {
        DbException direct => direct,
        DbUpdateConcurrencyException => null,
        DbUpdateException { InnerException: DbException inner } => inner,
        _ => null,
    };
}
