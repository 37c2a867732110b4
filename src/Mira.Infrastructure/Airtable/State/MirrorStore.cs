using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Airtable;

/// <summary>
/// Reads and writes what the ledger's database knows of Airtable, beside the ledger's lock: nothing of it changes what
/// a key may do.
/// </summary>
public sealed class MirrorStore(IDbContextFactory<MiraDbContext> contexts, SqlStore store, SingleWriter gate)
{
    /// <exception cref="StoreUnavailableException">The database cannot be read.</exception>
    public Task<T> ReadAsync<T>(Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        contexts.ReadAsync("The records of Airtable's rows cannot be read.", read, cancellationToken);

    /// <summary>The same with the time of the database.</summary>
    /// <exception cref="StoreUnavailableException">The database cannot be read.</exception>
    public Task<T> ReadAsync<T>(Func<MiraDbContext, DateTimeOffset, Task<T>> read, CancellationToken cancellationToken) =>
        ReadAsync(async database => await read(database, await store.ReadClockAsync(database, cancellationToken)), cancellationToken);

    /// <summary>Writes in one transaction, with the time of the database.</summary>
    /// <exception cref="LedgerUnavailableException">The database cannot be written.</exception>
    /// <exception cref="OverloadedException">Too much waits to be written.</exception>
    public Task<T> WriteAsync<T>(Func<MiraDbContext, DateTimeOffset, Task<T>> write, CancellationToken cancellationToken) => gate.RunAsync(
        async () =>
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
            var result = await write(database, await store.ReadClockAsync(database, cancellationToken));
            await database.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(CancellationToken.None);
            return result;
        },
        cancellationToken);

    /// <summary>The one row that nodes share.</summary>
    public Task<(AirtableState State, DateTimeOffset Now)> ReadStateAsync(CancellationToken cancellationToken) => ReadAsync(
        async (database, now) => (await database.AirtableStates.AsNoTracking().SingleAsync(cancellationToken), now), cancellationToken);
}
