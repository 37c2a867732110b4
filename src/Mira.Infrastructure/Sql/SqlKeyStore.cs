using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>Reads keys from the database.</summary>
public sealed class SqlKeyStore(IDbContextFactory<MiraDbContext> contexts, RowAuthenticator seal, RowViolations findings, ILogger<SqlKeyStore>? log = null) : IKeyStore
{
    private readonly TextSearch _search = new(log);

    // Of this store, because it is made for one kind of database. One statement: the row, where the ledger ends, and
    // the last that it tells of the key.
    private readonly Func<MiraDbContext, KeyId, Task<Found?>> _find = EF.CompileAsyncQuery(
        (MiraDbContext database, KeyId id) => database.Heads
            .SelectMany(
                _ => database.Keys.Include(key => key.Secrets.OrderBy(secret => secret.Version)).Where(key => key.Id == id).DefaultIfEmpty(),
                (head, key) => new Found
                {
                    AsOf = head.Seq,
                    Hash = head.Hash,
                    Key = key,
                    CreatedSeq = EF.Property<long?>(key!, KeyColumns.CreatedSeq),
                    NameFolded = EF.Property<string?>(key!, KeyColumns.NameFolded),
                    OwnerFolded = EF.Property<string?>(key!, KeyColumns.OwnerFolded),
                    LapseAt = EF.Property<DateTimeOffset?>(key!, KeyColumns.LapseAt),
                    RotationUntil = EF.Property<DateTimeOffset?>(key!, KeyColumns.RotationUntil),
                    CurrentExpiresAt = EF.Property<DateTimeOffset?>(key!, KeyColumns.CurrentExpiresAt),
                    ChangedSeq = EF.Property<long?>(key!, KeyColumns.ChangedSeq),
                    MacPepperId = EF.Property<string?>(key!, KeyColumns.MacPepperId),
                    Mac = EF.Property<byte[]?>(key!, KeyColumns.Mac),
                    NewestSeq = database.KeyChanges.Where(change => change.Subject == id).Max(change => (long?)change.Seq),
                    CutSeq = database.Begins.Max(begin => (long?)begin.Seq),
                    IsStandby = ReadOnlyServer.IsAnswering(),
                })
            .AsNoTracking()
            .FirstOrDefault());

    /// <inheritdoc/>
    public Task<KeyEntry> ReadAsync(KeyId id, CancellationToken cancellationToken) => ReadAsync(
        async database =>
        {
            var found = await FindAsync(database, id, cancellationToken);
            ReadOnlyServer.Refuse(database, found.IsStandby);
            var row = found.IsUnreadable ? DamagedRows.Unreadable(id) : found.ToRow();
            if (row is not null)
                seal.Examine(row);
            else if (found.NewestSeq is not null)
                findings.Report(id, RowViolations.Deleted);
            // Its own id, so that the text is not kept twice.
            return new KeyEntry(row?.Key.Id ?? id, row?.Key, found.AsOf, LedgerHashes.MarkOf(found.Hash));
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
                    .AsNoTracking()
                    .ReadAsync(database, cancellationToken);
                rows.ForEach(row => seal.Examine(row));
                return [.. rows.Select(row => (row.Key, row.CreatedSeq))];
            },
            cancellationToken);
    }

    // A row that cannot be read refuses its own key, and is no fault of the store.
    private async Task<Found> FindAsync(MiraDbContext database, KeyId id, CancellationToken cancellationToken)
    {
        Found? found;
        try
        {
            found = await _find(database, id);
        }
        catch (Exception exception) when (DamagedRows.IsDamage(exception))
        {
            found = await database.Heads.Select(head => new Found { AsOf = head.Seq, Hash = head.Hash, IsUnreadable = true, IsStandby = ReadOnlyServer.IsAnswering() })
                .FirstOrDefaultAsync(cancellationToken);
        }

        return found ?? throw new StoreUnavailableException("The ledger has no head.");
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

    /// <summary>A row, or the fact that there is none.</summary>
    private sealed class Found
    {
        public long AsOf { get; init; }

        /// <summary>Did a server in recovery answer?</summary>
        public bool IsStandby { get; init; }

        public required string Hash { get; init; }

        /// <summary>Is there a row that cannot be read?</summary>
        public bool IsUnreadable { get; init; }

        public ApiKey? Key { get; init; }

        public long? CreatedSeq { get; init; }

        public string? NameFolded { get; init; }

        public string? OwnerFolded { get; init; }

        public DateTimeOffset? LapseAt { get; init; }

        public DateTimeOffset? RotationUntil { get; init; }

        public DateTimeOffset? CurrentExpiresAt { get; init; }

        public long? ChangedSeq { get; init; }

        public string? MacPepperId { get; init; }

        public byte[]? Mac { get; init; }

        public long? NewestSeq { get; init; }

        public long? CutSeq { get; init; }

        public KeyRow? ToRow() => Key is null ? null : new KeyRow
        {
            Key = Key,
            CreatedSeq = CreatedSeq ?? 0,
            NameFolded = NameFolded ?? "",
            OwnerFolded = OwnerFolded,
            LapseAt = LapseAt,
            RotationUntil = RotationUntil,
            CurrentExpiresAt = CurrentExpiresAt,
            ChangedSeq = ChangedSeq ?? 0,
            MacPepperId = MacPepperId,
            Mac = Mac,
            NewestSeq = NewestSeq,
            CutSeq = CutSeq,
        };
    }
}
