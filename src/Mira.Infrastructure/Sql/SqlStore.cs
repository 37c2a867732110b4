using Microsoft.EntityFrameworkCore;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>A database that holds keys and their ledger: how it is opened, and what the two kinds do each in their own way.</summary>
public abstract class SqlStore(IDbContextFactory<MiraDbContext> contexts)
{
    /// <summary>The setting that says where it is, for refusals.</summary>
    public abstract string Setting { get; }

    /// <summary>How long a change may take before its commit.</summary>
    internal virtual TimeSpan Patience => Timeout.InfiniteTimeSpan;

    protected IDbContextFactory<MiraDbContext> Contexts => contexts;

    /// <summary>Makes or upgrades the database.</summary>
    /// <exception cref="SettingException">It is not usable.</exception>
    public abstract Task OpenAsync(CancellationToken cancellationToken);

    /// <summary>Is there a store, for somebody who reads it and makes nothing?</summary>
    /// <exception cref="SettingException">It is not usable, or its tables are those of an older version.</exception>
    public abstract Task<bool> IsThereAsync(CancellationToken cancellationToken);

    /// <summary>How many secrets that work now lie under each pepper.</summary>
    /// <exception cref="SettingException">There is no store, or it is not usable.</exception>
    public Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        CountLiveSecretsAsync(now, [], cancellationToken);

    /// <param name="except">Peppers that are not asked about. To leave out the usual one spares looking at the keys of a large store.</param>
    /// <exception cref="SettingException">There is no store, or it is not usable.</exception>
    protected abstract Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(
        DateTimeOffset now, IReadOnlyCollection<string> except, CancellationToken cancellationToken);

    /// <exception cref="SettingException">Secrets that work lie under a pepper that is not listed, so nobody could use them.</exception>
    public async Task DemandPeppersAsync(PepperRing peppers, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var unlisted = await CountLiveSecretsAsync(now, [.. peppers.All.Select(pepper => pepper.Id)], cancellationToken);
        if (unlisted.Count > 0)
        {
            var which = string.Join(", ", unlisted.Select(pair => $"{pair.Value} under {pair.Key}"));
            throw new SettingException("MIRA_PEPPER", $"live secrets lie under a pepper that is not listed: {which}");
        }
    }

    /// <summary>Makes a store that was opened for reading alone writable again, if it can be by now.</summary>
    internal virtual Task TakeUpWritingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Is there any key?</summary>
    /// <exception cref="Application.Ledger.StoreUnavailableException">It cannot be read.</exception>
    internal Task<bool> HasKeysAsync(CancellationToken cancellationToken) =>
        contexts.ReadAsync("The key store cannot be read.", database => database.Keys.AnyAsync(cancellationToken), cancellationToken);

    /// <summary>The head, which from now to the end of the transaction nobody else can lock.</summary>
    internal abstract Task<LedgerHead> LockHeadAsync(MiraDbContext database, CancellationToken cancellationToken);

    /// <summary>The time of the database, to the millisecond.</summary>
    internal abstract Task<DateTimeOffset> ReadClockAsync(MiraDbContext database, CancellationToken cancellationToken);

    /// <summary>Keeps a key's secrets from being written by others until the transaction ends, if they could be.</summary>
    internal virtual Task HoldSecretsAsync(MiraDbContext database, string keyId, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Writes the later of the stored and the new time of use of each secret.</summary>
    internal abstract Task TouchAsync(MiraDbContext database, IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken);

    /// <summary>Notes which operation the events are of, if that can be asked for later.</summary>
    internal virtual void Sign(MiraDbContext database, IReadOnlyList<LedgerEvent> events, Guid operation)
    {
    }

    /// <summary>Tells other nodes, with the commit, how far the ledger goes.</summary>
    internal virtual Task AnnounceAsync(MiraDbContext database, long seq, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Did a commit that ended in a failure go through all the same?</summary>
    /// <exception cref="Application.Ledger.LedgerUnavailableException">It cannot be found out now.</exception>
    internal virtual Task<bool> HasCommittedAsync(LedgerPosition written, Guid operation) => Task.FromResult(false);

    protected async Task<IReadOnlyDictionary<string, int>> CountAsync(
        DateTimeOffset now, IReadOnlyCollection<string> except, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        return await database.Keys
            .Where(key => key.RevokedAt == null)
            .SelectMany(key => key.Secrets)
            .Where(secret => !except.Contains(secret.PepperId))
            .Where(secret => (secret.ValidUntil == null || secret.ValidUntil > now) && (secret.ExpiresAt == null || secret.ExpiresAt > now))
            .GroupBy(secret => secret.PepperId)
            .Select(group => new { PepperId = group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.PepperId, group => group.Count, cancellationToken);
    }

    protected async Task<bool> HasTablesAsync(CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        if (!(await database.Database.GetAppliedMigrationsAsync(cancellationToken)).Any())
            return false;

        return (await database.Database.GetPendingMigrationsAsync(cancellationToken)).Any()
            ? throw new SettingException(Setting, "the store there is of an older version: start this one with it once")
            : true;
    }

    /// <summary>Are the tables those of this version, so that a start need not write?</summary>
    protected static async Task<bool> IsCurrentAsync(MiraDbContext database, CancellationToken cancellationToken) =>
        !(await database.Database.GetPendingMigrationsAsync(cancellationToken)).Any() && await database.Heads.AnyAsync(cancellationToken);

    protected static async Task MigrateAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        await database.Database.MigrateAsync(cancellationToken);
        if (!await database.Heads.AnyAsync(cancellationToken))
        {
            database.Heads.Add(new LedgerHead());
            await database.SaveChangesAsync(cancellationToken);
        }
    }
}
