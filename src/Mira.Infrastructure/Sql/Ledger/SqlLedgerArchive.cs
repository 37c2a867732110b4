using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;

namespace Mira.Infrastructure.Sql;

/// <summary>Reads and keeps signed statements in the database.</summary>
public sealed class SqlLedgerArchive(IDbContextFactory<MiraDbContext> contexts) : ILedgerArchive
{
    private const string Failure = "The ledger cannot be read.";

    /// <inheritdoc/>
    public Task<SignedHead> ReadHeadAsync(CancellationToken cancellationToken) => contexts.ReadAsync(
        Failure,
        async database =>
        {
            var head = await database.Heads.AsNoTracking().SingleAsync(cancellationToken);
            return new SignedHead(head.Position, head.Statement, head.SignedBy);
        },
        cancellationToken);

    /// <inheritdoc/>
    public Task<Checkpoint?> FindCutAsync(CancellationToken cancellationToken) => contexts.ReadAsync(
        Failure,
        async database => (await database.Begins.AsNoTracking().SingleOrDefaultAsync(cancellationToken))?.Statement,
        cancellationToken);

    /// <inheritdoc/>
    public async Task<LedgerRange?> FindStretchAsync(DateTimeOffset? from, DateTimeOffset? to, CancellationToken cancellationToken)
    {
        var (first, last) = await contexts.ReadAsync(
            Failure,
            async database =>
            {
                var events = SqlLedgerReader.Matching(database, new EventFilter(null, null, null, from, to, null, 1));
                return (await events.MinAsync(entry => (long?)entry.Seq, cancellationToken), await events.MaxAsync(entry => (long?)entry.Seq, cancellationToken));
            },
            cancellationToken);
        return first is null || last is null ? null : new LedgerRange(first.Value, last.Value);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<Checkpoint>> FindCheckpointsAsync(LedgerRange stretch, string? signedBy, int limit, CancellationToken cancellationToken) =>
        contexts.ReadAsync<IReadOnlyList<Checkpoint>>(
            Failure,
            async database =>
            {
                var kept = await database.Checkpoints.AsNoTracking()
                    .Where(checkpoint => checkpoint.Seq >= stretch.First && checkpoint.Seq <= stretch.Last && (signedBy == null || checkpoint.SignedBy == signedBy))
                    .OrderBy(checkpoint => checkpoint.Seq).Take(limit).ToListAsync(cancellationToken);
                return [.. kept.Select(checkpoint => checkpoint.Statement)];
            },
            cancellationToken);

    /// <inheritdoc/>
    public Task<Checkpoint?> FindNewestAsync(CancellationToken cancellationToken) => contexts.ReadAsync(
        Failure,
        async database => (await database.Checkpoints.AsNoTracking().OrderByDescending(checkpoint => checkpoint.Seq).FirstOrDefaultAsync(cancellationToken))?.Statement,
        cancellationToken);

    /// <summary>The last change of audit keys; null when there was none.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be read.</exception>
    public Task<AuditKeyRotation?> FindHandoverAsync(CancellationToken cancellationToken) =>
        contexts.ReadAsync(Failure, database => FindHandoverAsync(database, cancellationToken), cancellationToken);

    internal static async Task<AuditKeyRotation?> FindHandoverAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var entry = await database.Events.AsNoTracking()
            .Where(entry => entry.Type == EventType.SystemStarted && entry.Body.Contains(AuditKeyRotation.Mark))
            .OrderByDescending(entry => entry.Seq).FirstOrDefaultAsync(cancellationToken);
        return entry is null ? null : AuditKeyRotation.Read(entry);
    }

    /// <summary>Keeps a checkpoint, unless one of the same place is there.</summary>
    public async Task<int> KeepAsync(Checkpoint statement, AuditPublicKey key, CancellationToken cancellationToken)
    {
        var at = statement.At.ToUnixTimeMilliseconds();
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO checkpoints (seq, hash, at, signature, signed_by) VALUES ({statement.Seq}, {statement.Hash}, {at}, {statement.Signature}, {key.Id})
             ON CONFLICT (seq) DO NOTHING
             """,
            cancellationToken);
    }
}
