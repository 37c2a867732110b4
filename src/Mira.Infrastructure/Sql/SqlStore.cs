using Microsoft.EntityFrameworkCore;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Sql;

/// <summary>
/// A database that holds keys and their ledger: how it is opened, and what the two kinds do each in their own way.
/// </summary>
/// <param name="schema">Null for a store whose tables every start makes and upgrades.</param>
public abstract class SqlStore(IDbContextFactory<MiraDbContext> contexts, SchemaOptions? schema = null)
{
    private readonly SchemaOptions _schema = schema ?? new SchemaOptions(MayChange: true);

    /// <summary>The setting that says where it is, for refusals.</summary>
    public abstract string Setting { get; }

    /// <summary>How long a change may take before its commit.</summary>
    internal virtual TimeSpan Patience => Timeout.InfiniteTimeSpan;

    /// <summary>The migrations that <see cref="OpenAsync"/> has applied, in their order.</summary>
    public IReadOnlyList<string> Applied { get; private set; } = [];

    protected IDbContextFactory<MiraDbContext> Contexts => contexts;

    protected bool MayChangeTables => _schema.MayChange;

    /// <summary>Makes or upgrades the database, if this process may.</summary>
    /// <exception cref="SettingException">It is not usable, its tables are those of a newer version, or they must be
    /// made or upgraded and <c>MIRA_MIGRATE</c> is false.</exception>
    public abstract Task OpenAsync(CancellationToken cancellationToken);

    /// <summary>Is there a store, for somebody who reads it and makes nothing?</summary>
    /// <exception cref="SettingException">It is not usable, or its tables are those of another version.</exception>
    public abstract Task<bool> IsThereAsync(CancellationToken cancellationToken);

    /// <summary>How many secrets that work now lie under each pepper.</summary>
    /// <exception cref="SettingException">There is no store, or it is not usable.</exception>
    public Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(DateTimeOffset now, CancellationToken cancellationToken) =>
        CountLiveSecretsAsync(now, [], cancellationToken);

    /// <summary>
    /// How much still needs each pepper: the secrets that work now, or the records that are to be signed anew,
    /// whichever are more. Under the current one the secrets alone.
    /// </summary>
    /// <exception cref="SettingException">There is no store, or it is not usable.</exception>
    public async Task<IReadOnlyDictionary<string, int>> CountNeedsAsync(string current, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var secrets = await CountLiveSecretsAsync(now, cancellationToken);
        return Largest(secrets, await CountRowsAsync([current], liveAt: null, cancellationToken));
    }

    /// <param name="except">Peppers that are not asked about. To leave out the usual one spares looking at the keys of
    /// a large store.</param>
    /// <exception cref="SettingException">There is no store, or it is not usable.</exception>
    protected abstract Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(
        DateTimeOffset now, IReadOnlyCollection<string> except, CancellationToken cancellationToken);

    /// <exception cref="SettingException">Secrets that work lie under a pepper that is not listed, so nobody could use
    /// them.</exception>
    public async Task DemandPeppersAsync(PepperRing peppers, DateTimeOffset now, CancellationToken cancellationToken)
    {
        string[] listed = [.. peppers.All.Select(pepper => pepper.Id)];
        var unlisted = Largest(await CountLiveSecretsAsync(now, listed, cancellationToken), await CountRowsAsync(listed, now, cancellationToken));
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

    /// <summary>
    /// Keeps a key's secrets from being written by others until the transaction ends, if they could be.
    /// </summary>
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

    /// <summary>The same of the intents of an operation.</summary>
    /// <exception cref="Application.Ledger.LedgerUnavailableException">It cannot be found out now.</exception>
    internal virtual Task<bool> HasIntendedAsync(Guid operation) => Task.FromResult(false);

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

    /// <summary>How many rows of keys are signed under each pepper.</summary>
    /// <param name="liveAt">Counts only keys that have a secret which works then; null counts all.</param>
    private async Task<IReadOnlyDictionary<string, int>> CountRowsAsync(IReadOnlyCollection<string> except, DateTimeOffset? liveAt, CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        // An older store has no such column; then none is signed.
        if ((await database.Database.GetPendingMigrationsAsync(cancellationToken)).Any())
            return new Dictionary<string, int>();

        return await database.Keys
            .Where(key => EF.Property<string?>(key, KeyColumns.MacPepperId) != null && !except.Contains(EF.Property<string>(key, KeyColumns.MacPepperId)))
            .Where(key => liveAt == null || (key.RevokedAt == null && (EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) == null || EF.Property<DateTimeOffset?>(key, KeyColumns.LapseAt) > liveAt)))
            .GroupBy(key => EF.Property<string>(key, KeyColumns.MacPepperId))
            .Select(group => new { PepperId = group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.PepperId, group => group.Count, cancellationToken);
    }

    private static Dictionary<string, int> Largest(IReadOnlyDictionary<string, int> one, IReadOnlyDictionary<string, int> other) =>
        one.Keys.Union(other.Keys).ToDictionary(id => id, id => Math.Max(one.GetValueOrDefault(id), other.GetValueOrDefault(id)));

    protected async Task<bool> HasTablesAsync(CancellationToken cancellationToken)
    {
        await using var database = await contexts.CreateDbContextAsync(cancellationToken);
        var state = await SchemaState.ReadAsync(database, Setting, cancellationToken);
        if (state.IsEmpty)
            return false;

        return state.Pending.Count > 0
            ? throw new SettingException(Setting, $"the store there is of an older version: start this one with it once, or run `{SchemaOptions.Command}`")
            : true;
    }

    /// <summary>Is there nothing to make, upgrade or write before the store can be used?</summary>
    /// <exception cref="SettingException">The tables are those of a newer version, or this process may not upgrade
    /// them.</exception>
    protected async Task<bool> IsCurrentAsync(MiraDbContext database, CancellationToken cancellationToken) =>
        (await DemandPendingAsync(database, cancellationToken)).Count == 0 && await database.Heads.AnyAsync(cancellationToken);

    /// <summary>Makes or upgrades the tables. The caller keeps others from doing so at the same time.</summary>
    /// <exception cref="SettingException">The tables are those of a newer version, or this process may not upgrade
    /// them.</exception>
    protected async Task MigrateAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        // Asked again: another node may have done it while this one waited.
        var pending = await DemandPendingAsync(database, cancellationToken);
        if (pending.Count > 0)
            await database.Database.MigrateAsync(cancellationToken);
        if (!await database.Heads.AnyAsync(cancellationToken))
        {
            database.Heads.Add(new LedgerHead());
            await database.SaveChangesAsync(cancellationToken);
        }

        Applied = pending;
    }

    protected static SettingException TablesMissing() =>
        new(SchemaOptions.Setting, $"is false, and the tables of the store are not made yet: run `{SchemaOptions.Command}` first");

    private async Task<IReadOnlyList<string>> DemandPendingAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var state = await SchemaState.ReadAsync(database, Setting, cancellationToken);
        if (MayChangeTables || state.Pending.Count == 0)
            return state.Pending;

        throw state.IsEmpty ? TablesMissing() : new SettingException(
            SchemaOptions.Setting, $"is false, and the tables of the store lack {state.Pending.Count} migrations of this version: run `{SchemaOptions.Command}` first");
    }
}
