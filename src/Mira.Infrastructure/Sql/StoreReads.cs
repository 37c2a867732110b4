using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>How everything is read from the database: in a context of its own, and a database that fails is a store that is away.</summary>
internal static class StoreReads
{
    /// <exception cref="StoreUnavailableException">With <paramref name="failure"/> as its message.</exception>
    public static async Task<T> ReadAsync<T>(
        this IDbContextFactory<MiraDbContext> contexts, string failure, Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            return await read(database);
        }
        catch (DbException exception)
        {
            throw new StoreUnavailableException(failure, exception);
        }
    }
}
