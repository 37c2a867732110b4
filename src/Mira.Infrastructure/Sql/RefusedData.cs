using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>The database works, and refuses what it was given.</summary>
internal static class RefusedData
{
    // Data exceptions, broken constraints, data too long for an index.
    private static readonly string[] OfData = ["22", "23", "54"];

    // Connections, transactions, resources, operators, the system itself.
    private static readonly string[] OfStore = ["08", "25", "28", "3D", "40", "53", "55", "57", "58"];

    public static bool Caused(DbException exception) => exception switch
    {
        PostgresException told => StartsWithAny(told.SqlState, OfData),
        SqliteException told => told.SqliteErrorCode is SQLitePCL.raw.SQLITE_TOOBIG or SQLitePCL.raw.SQLITE_CONSTRAINT or SQLitePCL.raw.SQLITE_MISMATCH,
        _ => false,
    };

    public static bool IsTheStores(DbException exception) => exception switch
    {
        PostgresException told => StartsWithAny(told.SqlState, OfStore),
        SqliteException told => told.SqliteErrorCode is not SQLitePCL.raw.SQLITE_ERROR && !Caused(told),
        _ => true,
    };

    private static bool StartsWithAny(string state, string[] classes) => classes.Any(start => state.StartsWith(start, StringComparison.Ordinal));
}
