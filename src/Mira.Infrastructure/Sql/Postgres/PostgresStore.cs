using System.Data;
using System.Data.Common;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Npgsql;

namespace Mira.Infrastructure.Sql;

/// <summary>The store of many nodes: one PostgreSQL database that they lock, follow and listen to together.</summary>
public sealed class PostgresStore(IDbContextFactory<MiraDbContext> contexts, PostgresOptions options, TimeProvider clock, SchemaOptions? schema = null)
    : SqlStore(contexts, schema)
{
    public const string Channel = "mira_ledger";

    /// <summary>Any number, the same for all nodes: who holds it makes or upgrades the tables.</summary>
    private const long MigrationLock = 0x4D697261;

    private const string Lock = "SELECT * FROM ledger_head WHERE id = {0} FOR UPDATE";
    private const string LimitedLock = PostgresOptions.TransactionLimits + Lock;

    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SettlePace = TimeSpan.FromMilliseconds(100);

    public override string Setting => PostgresOptions.Setting;

    internal override TimeSpan Patience => PostgresOptions.Patience;

    public static void Configure(DbContextOptionsBuilder builder, string connection) =>
        // A failure comes out as it is. What may be tried again is decided where it is known what was done.
        builder.UseNpgsql(connection, npgsql => npgsql.ExecutionStrategy(dependencies => new NonRetryingExecutionStrategy(dependencies)))
            .AddInterceptors(ReadOnlyServerWatch.Instance);

    /// <summary>
    /// Makes or upgrades the database, one node after the other when several start at once. Tables that are those of
    /// this version are left alone, so that a database which cannot be written stops no start.
    /// </summary>
    /// <exception cref="SettingException">It cannot be reached or used, is a standby, or holds text that is not
    /// UTF-8.</exception>
    public override Task OpenAsync(CancellationToken cancellationToken) => UseAsync(async () =>
    {
        var builder = new DbContextOptionsBuilder<PostgresDbContext>();
        Configure(builder, options.Migrations);
        await using var database = new PostgresDbContext(builder.Options);
        await database.Database.OpenConnectionAsync(cancellationToken).WaitAsync(StartPatience, clock, cancellationToken);
        await DemandPrimaryInUtf8Async(database, cancellationToken);
        if (await IsCurrentAsync(database, cancellationToken))
            return true;

        // Held by a transaction of its own, because behind a pooler a session is another one for each transaction. The
        // user may have limits of time.
        await using var turn = new PostgresDbContext(builder.Options);
        await using var transaction = await turn.Database.BeginTransactionAsync(cancellationToken);
        await turn.Database.ExecuteSqlAsync(
            $"SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)",
            cancellationToken);
        await turn.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({MigrationLock})", cancellationToken);
        await MigrateAsync(database, cancellationToken);
        return true;
    });

    private async Task DemandPrimaryInUtf8Async(PostgresDbContext database, CancellationToken cancellationToken)
    {
        var encoding = await database.Database.SqlQuery<string>($"SELECT current_setting('server_encoding') AS \"Value\"").SingleAsync(cancellationToken);
        if (encoding != "UTF8")
            throw new SettingException(Setting, $"names a database whose encoding is {encoding}: it must be UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)");

        if (await database.Database.SqlQuery<bool>($"SELECT pg_is_in_recovery() AS \"Value\"").SingleAsync(cancellationToken))
            throw new SettingException(Setting, "leads to a standby, whose data may be old: name the primary, or all hosts");
    }

    /// <inheritdoc/>
    protected override Task<IReadOnlyDictionary<string, int>> CountLiveSecretsAsync(
        DateTimeOffset now, IReadOnlyCollection<string> except, CancellationToken cancellationToken) =>
        UseAsync(() => CountAsync(now, except, cancellationToken).WaitAsync(StartPatience, clock, cancellationToken));

    /// <inheritdoc/>
    public override Task<bool> IsThereAsync(CancellationToken cancellationToken) =>
        UseAsync(() => HasTablesAsync(cancellationToken).WaitAsync(StartPatience, clock, cancellationToken));

    internal override async Task<LedgerHead> LockHeadAsync(MiraDbContext database, CancellationToken cancellationToken) =>
        // As a list, because anything more would be put around the statement that locks.
        (await database.Heads.FromSqlRaw(options.HasPooler ? LimitedLock : Lock, LedgerHead.OnlyId).ToListAsync(cancellationToken)).Single();

    internal override async Task<DateTimeOffset> ReadClockAsync(MiraDbContext database, CancellationToken cancellationToken)
    {
        var milliseconds = await database.Database
            .SqlQuery<long>($"SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS \"Value\"").SingleAsync(cancellationToken);
        return DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
    }

    // Locked in the order of the key before anything is written: an update alone would lock in any order, and two nodes
    // could wait for each other.
    internal override Task TouchAsync(MiraDbContext database, IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken)
    {
        string[] ids = [.. uses.Select(use => use.KeyId.Value)];
        int[] versions = [.. uses.Select(use => use.Secret.Version)];
        long[] times = [.. uses.Select(use => use.LastUsedAt.ToUnixTimeMilliseconds())];
        return database.Database.ExecuteSqlAsync(
            $"""
             WITH uses AS (SELECT * FROM unnest({ids}, {versions}, {times}) AS use (key_id, version, used)),
             held AS (
                 SELECT secret.key_id, secret.version, uses.used FROM secrets secret JOIN uses USING (key_id, version)
                 WHERE secret.last_used_at IS NULL OR secret.last_used_at < uses.used
                 ORDER BY secret.key_id, secret.version FOR UPDATE OF secret)
             UPDATE secrets SET last_used_at = greatest(secrets.last_used_at, held.used)
             FROM held WHERE secrets.key_id = held.key_id AND secrets.version = held.version
             """,
            cancellationToken);
    }

    internal override Task HoldSecretsAsync(MiraDbContext database, string keyId, CancellationToken cancellationToken) =>
        database.Database.ExecuteSqlAsync($"SELECT 1 FROM secrets WHERE key_id = {keyId} ORDER BY version FOR UPDATE", cancellationToken);

    internal override void Sign(MiraDbContext database, IReadOnlyList<LedgerEvent> events, Guid operation)
    {
        foreach (var entry in events)
            database.Entry(entry).Property(PostgresDbContext.Operation).CurrentValue = operation;
    }

    // With a synchronous standby the commit waits for it. The limit of statements would end that wait, and the server
    // would say that all is well about a commit which no standby has: it is lost with the primary.
    internal override Task AnnounceAsync(MiraDbContext database, long seq, CancellationToken cancellationToken) =>
        database.Database.ExecuteSqlAsync(
            $"SELECT set_config('statement_timeout', '0', true), pg_notify({Channel}, {seq.ToString(System.Globalization.CultureInfo.InvariantCulture)})",
            cancellationToken);

    /// <summary>
    /// Asks over a new connection, under the head's lock: a commit that is still on its way holds that lock, so it is
    /// decided by then. The events stay where they are whatever others commit after them. A client that gives up may
    /// have ended the commit's wait for a synchronous standby, so what is found counts only once a commit after it has
    /// reached that standby too.
    /// </summary>
    internal override Task<bool> HasCommittedAsync(LedgerPosition written, Guid operation) => HasCommittedAsync(
        (database, token) => database.Events.AnyAsync(
            entry => entry.Seq == written.Seq && EF.Property<Guid?>(entry, PostgresDbContext.Operation) == operation, token));

    /// <summary>The same for intents, which stay at least until their deadline, long after this was asked.</summary>
    internal override Task<bool> HasIntendedAsync(Guid operation) => HasCommittedAsync(
        (database, token) => database.AirtableIntents.AnyAsync(intent => intent.Operation == operation, token));

    private async Task<bool> HasCommittedAsync(Func<MiraDbContext, CancellationToken, Task<bool>> isThere)
    {
        using var patience = new CancellationTokenSource(SettlePatience, clock);
        using var pace = new PeriodicTimer(SettlePace, clock);
        try
        {
            while (true)
            {
                try
                {
                    return await IsThereAsync(isThere, patience.Token).WaitAsync(patience.Token);
                }
                catch (DbException exception) when (LostConnection.Caused(exception))
                {
                    await pace.WaitForNextTickAsync(patience.Token);
                }
            }
        }
        catch (Exception exception) when (exception is DbException or OperationCanceledException)
        {
            throw new LedgerUnavailableException("The store went away while the change was committed.", exception) { IsUndecided = true };
        }
    }

    private async Task<bool> IsThereAsync(Func<MiraDbContext, CancellationToken, Task<bool>> isThere, CancellationToken cancellationToken)
    {
        await using var database = await Contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await database.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        await LockHeadAsync(database, cancellationToken);
        if (!await isThere(database, cancellationToken))
            return false;

        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        await database.Database.ExecuteSqlAsync(
            $"INSERT INTO probe (id, at) VALUES ({StoreProbe.OnlyId}, {now}) ON CONFLICT (id) DO UPDATE SET at = excluded.at", cancellationToken);
        await database.Database.ExecuteSqlAsync($"SELECT set_config('statement_timeout', '0', true)", cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    // Nothing of what the server says goes out: it may repeat what the setting holds.
    private async Task<T> UseAsync<T>(Func<Task<T>> use)
    {
        try
        {
            return await use();
        }
        catch (Exception exception) when (exception is DbException or DbUpdateException or TimeoutException or SocketException or ArgumentException)
        {
            throw new SettingException(Setting, Problem(exception), exception);
        }
    }

    private static string Problem(Exception exception) => (exception as PostgresException ?? exception.InnerException as PostgresException)?.SqlState switch
    {
        null => PostgresOptions.Unreachable,
        PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification => "the database refuses the user or its password",
        PostgresErrorCodes.InvalidCatalogName => "there is no such database",
        PostgresErrorCodes.UndefinedTable => "there is no store in the database",
        PostgresErrorCodes.ReadOnlySqlTransaction => "the database is read only, so its tables cannot be made or upgraded",
        PostgresErrorCodes.DiskFull => "the database has no room left, so its tables cannot be made or upgraded",
        PostgresErrorCodes.ProtocolViolation => "a connection pooler refuses what the connection string asks of a session: take Options, Search Path and Timezone out of it, and set them for the user with ALTER ROLE",
        PostgresErrorCodes.InsufficientPrivilege => "the user may not make or use the tables",
        var state => $"the database cannot be used (SQLSTATE {state})",
    };
}
