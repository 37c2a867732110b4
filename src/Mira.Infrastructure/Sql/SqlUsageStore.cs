using Microsoft.EntityFrameworkCore;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Sql;

/// <summary>Writes last use and renewed digests, a batch in one transaction, apart from versions and events.</summary>
public sealed class SqlUsageStore(IDbContextFactory<MiraDbContext> contexts, SqlStore store, WriteGate gate, KeyDirectory directory) : IUsageStore
{
    /// <inheritdoc/>
    public Task WriteAsync(IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken) => gate.RunAsync(
        async () =>
        {
            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
            // In one order on all nodes, so that two of them never wait for each other.
            SecretUse[] ordered = [.. uses.OrderBy(use => use.KeyId.Value, StringComparer.Ordinal).ThenBy(use => use.Secret.Version)];
            await store.TouchAsync(database, ordered, cancellationToken);
            foreach (var use in ordered)
            {
                if (use.Renewal is { } renewal)
                    await RenewAsync(database, use, renewal, cancellationToken);
            }

            await transaction.CommitAsync(CancellationToken.None);

            // Their entries still hold the old digest; the next read brings the new one.
            foreach (var use in uses.Where(use => use.Renewal is not null))
                directory.Drop(use.KeyId);
            return true;
        },
        cancellationToken);

    private static Task<int> RenewAsync(MiraDbContext database, SecretUse use, Renewal renewal, CancellationToken cancellationToken) =>
        database.Database.ExecuteSqlAsync(
            $"""
             UPDATE secrets SET digest = {renewal.Seal.Digest.ToArray()}, pepper_id = {renewal.Seal.PepperId}
             WHERE key_id = {use.KeyId.Value} AND version = {use.Secret.Version} AND digest = {use.Secret.Digest.ToArray()}
             """,
            cancellationToken);
}
