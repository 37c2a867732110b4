using System.Data;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Commits changes: one at a time, each key with its events and its stored response in one transaction, the events
/// chained to the head that the transaction has locked.
/// </summary>
public sealed partial class SqlLedger(
    IDbContextFactory<MiraDbContext> contexts, SqlStore store, SingleWriter gate, LedgerPoller poller, HeadSigner seal, RowAuthenticator rows, AuditScope scope,
    ILogger<SqlLedger> log) : ILedger
{
    private const int Attempts = 3;

    /// <inheritdoc/>
    public Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken) =>
        TransactAsync(change, cancellationToken);

    /// <summary>A change that may also use the tables of the transaction.</summary>
    /// <exception cref="LedgerUnavailableException">It cannot be written.</exception>
    internal async Task<T> TransactAsync<T>(Func<SqlLedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await gate.RunAsync(() => CommitAsync(change, cancellationToken), cancellationToken);
            }
            catch (DbUpdateConcurrencyException exception) when (attempt < Attempts)
            {
                // The record changed under the lock, which only a writer that goes around the ledger can do: decide
                // again from what is there.
                LogRetry(exception, attempt);
            }
            catch (DbUpdateConcurrencyException exception)
            {
                throw new LedgerUnavailableException("The key changes faster than a change can be decided.", exception);
            }
        }
    }

    private async Task<T> CommitAsync<T>(Func<SqlLedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        var attempt = new Attempt<T>();
        try
        {
            // A connection on which nothing comes any more takes long to notice it, so it is left behind.
            await WriteAsync(attempt, change, cancellationToken).WaitAsync(store.Patience, CancellationToken.None);
        }
        catch (Exception exception) when (attempt.HasCommitted)
        {
            LogAfterCommit(exception);
        }
        catch (TimeoutException exception)
        {
            attempt.Failure = exception;
            if (attempt.TryGiveUp())
                throw new LedgerUnavailableException("The ledger cannot be written.", exception);
        }

        if (attempt.Failure is { } failure && !await HasCommittedAsync(attempt))
            throw new LedgerUnavailableException("The ledger cannot be written.", failure);

        await ShowAsync(attempt.Events);
        return attempt.Result!;
    }

    // A change of a key whose source of truth is Airtable is an intent at first, which is no event and is found by its
    // own operation.
    private async Task<bool> HasCommittedAsync<T>(Attempt<T> attempt) => attempt switch
    {
        { Events.Count: > 0 } => await store.HasCommittedAsync(attempt.Events[0].Position, attempt.Operation),
        { Intended: { } intended } => await store.HasIntendedAsync(intended),
        _ => false,
    };

    /// <summary>
    /// One transaction. A failure of its commit is noted and not thrown: what was done may have happened all the same.
    /// </summary>
    private async Task WriteAsync<T>(Attempt<T> attempt, Func<SqlLedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        var (transaction, head) = await BeginAsync(database, cancellationToken);
        await using var open = transaction;
        var before = head.Seq;
        var running = new SqlLedgerChange(store, database, head, seal.Key, rows, await store.ReadClockAsync(database, cancellationToken), cancellationToken);
        if (await seal.ExamineAsync(head, () => SqlLedgerArchive.FindHandoverAsync(database, cancellationToken)) is { } finding)
            await running.RecordAsync(finding);
        attempt.Result = await change(running);
        attempt.Events = await running.CloseAsync(scope);
        attempt.Intended = database.ChangeTracker.Entries<AirtableIntent>().FirstOrDefault(entry => entry.State == EntityState.Added)?.Entity.Operation;
        if (!database.ChangeTracker.HasChanges())
            return;

        if (attempt.Events.Count > 0 && seal.Seal(head, before, running.Now) is { } checkpoint)
            database.Checkpoints.Add(checkpoint);

        store.Sign(database, attempt.Events, attempt.Operation);
        await database.SaveChangesAsync(cancellationToken);
        await store.AnnounceAsync(database, head.Seq, cancellationToken);
        if (!attempt.TryCommit())
            return;

        try
        {
            await transaction.CommitAsync(CancellationToken.None);
            attempt.HasCommitted = true;
        }
        catch (Exception exception)
        {
            attempt.Failure = exception;
        }
    }

    // Nothing was done yet, so a connection that was dead in the pool may be replaced by a new one.
    private async Task<(IDbContextTransaction Transaction, LedgerHead Head)> BeginAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        try
        {
            return await LockAsync(database, cancellationToken);
        }
        catch (DbException exception) when (LostConnection.Caused(exception))
        {
            return await LockAsync(database, cancellationToken);
        }
    }

    private async Task<(IDbContextTransaction Transaction, LedgerHead Head)> LockAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var transaction = await database.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        try
        {
            return (transaction, await store.LockHeadAsync(database, cancellationToken));
        }
        catch
        {
            await transaction.DisposeAsync();
            throw;
        }
    }

    // Before the answer, so that no call after it is decided by what was there before. What others committed in between
    // is read too, but the change has happened: nothing that fails from here on may take its answer back.
    private async Task ShowAsync(IReadOnlyList<LedgerEvent> events)
    {
        try
        {
            if (events.Count > 0)
                seal.TakeOver();
            if (!poller.TryApply(events))
                await poller.CatchUpAsync();
        }
        catch (StoreUnavailableException exception)
        {
            LogBehind(exception.InnerException?.Message);
        }
        catch (Exception exception)
        {
            LogAfterCommit(exception);
            Distrust(events);
        }
    }

    private void Distrust(IReadOnlyList<LedgerEvent> events)
    {
        try
        {
            poller.Distrust(events.Count > 0 ? events[^1].Seq : 0);
        }
        catch (Exception exception)
        {
            LogAfterCommit(exception);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A change was committed, and this node failed to take it in; its caches are emptied")]
    private partial void LogAfterCommit(Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What other nodes committed before this change is not known yet: {Cause}")]
    private partial void LogBehind(string? cause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A key changed under the ledger's lock; attempt {Attempt} is made again")]
    private partial void LogRetry(Exception exception, int attempt);

    /// <summary>
    /// A change on its way. It is either committed or given up; once the commit was sent, only the database knows.
    /// </summary>
    private sealed class Attempt<T>
    {
        private int _isDecided;

        public Guid Operation { get; } = Guid.NewGuid();

        public T? Result { get; set; }

        public IReadOnlyList<LedgerEvent> Events { get; set; } = [];

        /// <summary>The operation of the intents that were written; null when none were.</summary>
        public Guid? Intended { get; set; }

        public Exception? Failure { get; set; }

        public bool HasCommitted { get; set; }

        public bool TryCommit() => Interlocked.Exchange(ref _isDecided, 1) == 0;

        public bool TryGiveUp() => Interlocked.Exchange(ref _isDecided, 1) == 0;
    }
}
