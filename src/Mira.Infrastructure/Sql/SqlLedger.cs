using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Application.Verification;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Commits changes: one at a time, each key with its events and its remembered answer in one transaction, the events chained to the head that
/// the transaction has locked.
/// </summary>
public sealed partial class SqlLedger(
    IDbContextFactory<MiraDbContext> contexts, WriteGate gate, LedgerFollower follower, AuditScope scope, TimeProvider clock, ILogger<SqlLedger> log) : ILedger
{
    private const int Attempts = 3;

    /// <inheritdoc/>
    public async Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await gate.RunAsync(() => CommitAsync(change, cancellationToken), cancellationToken);
            }
            catch (DbUpdateConcurrencyException exception) when (attempt < Attempts)
            {
                // The record changed under the lock, which only a writer that goes around the ledger can do: decide again from what is there.
                LogRetry(exception, attempt);
            }
        }
    }

    private async Task<T> CommitAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        var head = await database.Heads.SingleAsync(cancellationToken);
        var running = new SqlLedgerChange(database, Rfc3339.Truncate(clock.GetUtcNow()), cancellationToken);
        var result = await change(running);
        var events = running.Close(head, scope);
        if (!database.ChangeTracker.HasChanges())
            return result;

        await database.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(CancellationToken.None);

        await ShowAsync(events);
        return result;
    }

    // Before the answer, so that no call after it is decided by what was there before. What others committed in between is read too, but the
    // change has happened: nothing that fails from here on may take its answer back.
    private async Task ShowAsync(IReadOnlyList<LedgerEvent> events)
    {
        if (follower.TryApply(events))
            return;

        try
        {
            await follower.CatchUpAsync();
        }
        catch (StoreUnavailableException exception)
        {
            LogBehind(exception.InnerException?.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What other nodes committed before this change is not known yet: {Cause}")]
    private partial void LogBehind(string? cause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A key changed under the ledger's lock; attempt {Attempt} is made again")]
    private partial void LogRetry(Exception exception, int attempt);
}
