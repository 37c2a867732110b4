using System.Data.Common;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// Tells a primary from a standby. What a standby holds may be old without bound, so nothing read there counts as a
/// look at the ledger. A pool with one connection to a standby probably has more of them (a proxy or a name led there),
/// so the whole pool goes at once.
/// </summary>
internal static class ReadOnlyServer
{
    /// <summary>How queries ask <see cref="IsAnswering"/>.</summary>
    public static readonly MethodInfo Question = typeof(ReadOnlyServer).GetMethod(nameof(IsAnswering))!;

    /// <summary>Inside a query: is the server that runs this statement in recovery? SQLite never is.</summary>
    public static bool IsAnswering() => throw new InvalidOperationException("Only a query can ask this.");

    /// <exception cref="InRecoveryException">The answer came from a standby.</exception>
    public static void Refuse(MiraDbContext database, bool isInRecovery)
    {
        if (!isInRecovery)
            return;

        Leave(database.Database.GetDbConnection());
        throw new InRecoveryException();
    }

    /// <summary>Ends every idle connection of the pool, and the others when they come back to it.</summary>
    public static void Leave(DbConnection? connection)
    {
        if (connection is NpgsqlConnection pooled)
            NpgsqlConnection.ClearPool(pooled);
    }
}

/// <summary>An answer came from a standby, whose data may be old.</summary>
internal sealed class InRecoveryException() : DbException("The server is a standby.");

/// <summary>
/// Leaves a server that refuses to write because it is read only: after a fail-over the old primary may come back as a
/// standby.
/// </summary>
internal sealed class ReadOnlyServerWatch : DbCommandInterceptor
{
    public static ReadOnlyServerWatch Instance { get; } = new();

    public override void CommandFailed(DbCommand command, CommandErrorEventData eventData) => Look(command, eventData.Exception);

    public override Task CommandFailedAsync(DbCommand command, CommandErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        Look(command, eventData.Exception);
        return Task.CompletedTask;
    }

    private static void Look(DbCommand command, Exception exception)
    {
        if (exception is PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction })
            ReadOnlyServer.Leave(command.Connection);
    }
}
