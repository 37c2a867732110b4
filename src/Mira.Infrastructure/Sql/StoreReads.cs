using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// How everything is read from the database: in a context of its own, and a database that fails is a store that is
/// away.
/// </summary>
internal static class StoreReads
{
    /// <exception cref="StoreUnavailableException">With <paramref name="failure"/> as its message.</exception>
    public static async Task<T> ReadAsync<T>(
        this IDbContextFactory<MiraDbContext> contexts, string failure, Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            // A connection on which nothing comes any more takes long to notice it, so it is left behind.
            return await contexts.OnceMoreAsync(read, cancellationToken).WaitAsync(PostgresOptions.Patience, cancellationToken);
        }
        catch (Exception exception) when (exception is DbException or TimeoutException)
        {
            throw new StoreUnavailableException(failure, exception);
        }
    }

    /// <summary>
    /// Makes a second attempt when the connection was dead, or led to a standby: one from the pool may do so since the
    /// database was started again or failed over.
    /// </summary>
    private static async Task<T> OnceMoreAsync<T>(
        this IDbContextFactory<MiraDbContext> contexts, Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            return await read(database);
        }
        catch (DbException exception) when (LostConnection.Caused(exception))
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            return await read(database);
        }
    }
}

/// <summary>
/// A database server, or the way to it, went away, or is no primary any more: another connection may work. One that is
/// only slow did not.
/// </summary>
internal static class LostConnection
{
    private static readonly string[] Classes = ["08", "57P"];

    public static bool Caused(DbException exception) => exception switch
    {
        InRecoveryException => true,
        PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => true,
        PostgresException told => Classes.Any(started => told.SqlState.StartsWith(started, StringComparison.Ordinal)),
        NpgsqlException { InnerException: IOException or System.Net.Sockets.SocketException } => true,
        _ => false,
    };
}
