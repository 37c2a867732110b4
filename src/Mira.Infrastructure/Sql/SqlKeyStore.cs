using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Sql;

/// <summary>Reads keys from the database.</summary>
public sealed class SqlKeyStore(IDbContextFactory<MiraDbContext> contexts, ILogger<SqlKeyStore>? log = null) : IKeyStore
{
    private readonly TextSearch _search = new(log);

    // Of this store, because it is made for one kind of database.
    private readonly Func<MiraDbContext, KeyId, Task<KeyRow?>> _findRow = EF.CompileAsyncQuery(
        (MiraDbContext database, KeyId id) => database.Heads
            .SelectMany(
                _ => database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).Where(key => key.Id == id).DefaultIfEmpty(),
                (head, key) => new KeyRow(head.Seq, key, Standby.IsAnswering()))
            .AsNoTracking()
            .FirstOrDefault());

    /// <inheritdoc/>
    public Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken) => ReadAsync(
        async database =>
        {
            var row = await _findRow(database, id) ?? throw new StoreUnavailableException("The ledger has no head.");
            Standby.Refuse(database, row.IsStandby);
            // Its own id, so that the text is not kept twice.
            return new KeyEntry(row.Key?.Id ?? id, row.Key, row.AsOf);
        },
        cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<(ApiKey Key, long Seq)>> FindAsync(KeyFilter filter, CancellationToken cancellationToken)
    {
        using var turn = filter.Text is null ? null : await _search.TakeTurnAsync(cancellationToken);
        return await ReadAsync<IReadOnlyList<(ApiKey, long)>>(
            async database =>
            {
                var hits = filter.Text is { } text ? await _search.FindAsync(database, text, cancellationToken) : null;
                var rows = await Matching(database, filter, hits)
                    .OrderByDescending(key => EF.Property<long>(key, KeyColumns.CreatedSeq))
                    .Take(filter.Limit)
                    .Include(key => key.Secrets.OrderBy(secret => secret.Version))
                    .AsNoTracking()
                    .Select(key => new { Key = key, Seq = EF.Property<long>(key, KeyColumns.CreatedSeq) })
                    .ToListAsync(cancellationToken);
                return [.. rows.Select(row => (row.Key, row.Seq))];
            },
            cancellationToken);
    }

    private static IQueryable<ApiKey> Matching(MiraDbContext database, KeyFilter filter, long[]? hits)
    {
        var keys = database.Keys.WhereVisibleTo(filter.Viewpoint);
        if (filter.Role is { } role)
            keys = keys.Where(key => key.Role == role);
        if (filter.Status is { } status)
            keys = keys.WhereStatus(status, filter.Now);
        if (filter.Owner is { } owner)
            keys = keys.Where(key => key.Owner == owner);
        if (filter.Before is { } before)
            keys = keys.Where(key => EF.Property<long>(key, KeyColumns.CreatedSeq) < before);
        if (hits is not null)
        {
            keys = keys.Where(key => EF.Parameter(hits).Contains(EF.Property<long>(key, KeyColumns.CreatedSeq)));
        }
        else if (filter.Text is { } text)
        {
            var folded = Label.Fold(text);
            keys = keys.Where(key =>
                EF.Property<string>(key, KeyColumns.NameFolded).Contains(folded)
                || EF.Property<string?>(key, KeyColumns.OwnerFolded)!.Contains(folded)
                || ((string)(object)key.Id).Substring(0, text.Length) == text);
        }

        return keys;
    }

    private Task<T> ReadAsync<T>(Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        contexts.ReadAsync("The key store cannot be read.", read, cancellationToken);

    private sealed record KeyRow(long AsOf, ApiKey? Key, bool IsStandby);
}
