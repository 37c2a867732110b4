using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Counts commands, and fails the one that a test names.</summary>
internal sealed class CommandWatch : DbCommandInterceptor
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Said of each command before it runs; true fails it as a full disk would.</summary>
    public Func<string, bool>? Fails { get; set; }

    /// <summary>The time that a database tells which has a clock of its own; null for the true one.</summary>
    public TimeProvider? Clock { get; set; }

    public override InterceptionResult<DbDataReader> ReaderExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
    {
        See(command);
        return result;
    }

    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
    {
        See(command);
        return ValueTask.FromResult(result);
    }

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        See(command);
        return ValueTask.FromResult(result);
    }

    private void See(DbCommand command)
    {
        Interlocked.Increment(ref _count);
        if (Clock is not null)
            command.CommandText = command.CommandText.Replace("clock_timestamp()", $"timestamptz '{Clock.GetUtcNow():yyyy-MM-dd HH:mm:ss.ffffff}+00'", StringComparison.Ordinal);
        if (Fails?.Invoke(command.CommandText) == true)
            throw new SqliteException("disk full", 13);
    }
}

/// <summary>Holds or fails the commit, and does something right before the rows are written.</summary>
internal sealed class SaveWatch : DbTransactionInterceptor, ISaveChangesInterceptor
{
    public bool FailsCommit { get; set; }

    public Func<MiraDbContext, Task>? BeforeSave { get; set; }

    public override ValueTask<InterceptionResult> TransactionCommittingAsync(
        DbTransaction transaction, TransactionEventData eventData, InterceptionResult result, CancellationToken cancellationToken = default) =>
        FailsCommit ? throw new SqliteException("disk full", 13) : ValueTask.FromResult(result);

    public async ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        if (BeforeSave is { } work && eventData.Context is MiraDbContext database)
        {
            BeforeSave = null;
            await work(database);
        }

        return result;
    }
}
