using Microsoft.EntityFrameworkCore;
using Mira.Application.Verification;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>Writes last use and renewed digests, a batch at a time, apart from versions and events.</summary>
public sealed class SqlUsageStore(IDbContextFactory<MiraDbContext> contexts, SqlStore store, SingleWriter gate, KeyCache directory, RowAuthenticator seal) : IUsageStore
{
    /// <inheritdoc/>
    public Task WriteAsync(IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken) => gate.RunAsync(
        async () =>
        {
            // In one order on all nodes, so that two of them never wait for each other.
            SecretUse[] ordered = [.. uses.OrderBy(use => use.KeyId.Value, StringComparer.Ordinal).ThenBy(use => use.Secret.Version)];
            // Before use is touched, and apart from it: both lock secrets, each from the first key on.
            SecretUse[] renewals = [.. ordered.Where(use => use.Renewal is not null)];
            if (renewals.Length > 0)
                await RenewAsync(renewals, cancellationToken);

            await using var database = await contexts.CreateDbContextAsync(cancellationToken);
            await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
            await store.TouchAsync(database, ordered, cancellationToken);
            await transaction.CommitAsync(CancellationToken.None);

            // Their entries still hold the old digest; the next read brings the new one.
            foreach (var use in renewals)
                directory.Drop(use.KeyId);
            return true;
        },
        cancellationToken);

    // A digest is part of what the row's MAC covers, so both are written together. A row that is not believed stays as
    // it is.
    private async Task RenewAsync(SecretUse[] uses, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        KeyId[] ids = [.. uses.Select(use => use.KeyId).Distinct()];
        foreach (var id in ids)
            await store.HoldSecretsAsync(database, id.Value, cancellationToken);
        var rows = await database.Keys.Where(key => ids.Contains(key.Id)).ReadAsync(database, cancellationToken);
        var believed = rows.Where(seal.Examine).ToDictionary(row => row.Key.Id);
        foreach (var use in uses)
        {
            if (believed.GetValueOrDefault(use.KeyId)?.Key.Secrets.FirstOrDefault(stored => stored.Version == use.Secret.Version) is not { } secret
                || !Digest.FixedTimeEquals(secret.Digest, use.Secret.Digest))
            {
                continue;
            }

            database.Entry(secret).Property(known => known.Digest).CurrentValue = use.Renewal!.Seal.Digest;
            database.Entry(secret).Property(known => known.PepperId).CurrentValue = use.Renewal.Seal.PepperId;
        }

        foreach (var row in believed.Values.Where(row => row.Key.Secrets.Any(secret => database.Entry(secret).State == EntityState.Modified)))
            seal.Seal(database, database.Entry(row.Key), row.BoundSeq);
        try
        {
            await database.SaveChangesAsync(cancellationToken);
            await transaction.CommitAsync(CancellationToken.None);
        }
        catch (DbUpdateConcurrencyException)
        {
            // A change of one of these keys came first. Their digests are renewed when they are used next.
        }
    }
}
