using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>The store this process works with (<c>MIRA_STORE</c>), with the peppers of its keys.</summary>
public abstract class StoreChoice(PepperRing peppers, AuditKey? auditKey) : IDisposable
{
    public const string Setting = "MIRA_STORE";
    public const string Sqlite = "sqlite";
    public const string Postgres = "postgres";
    public const string InAirtable = "airtable";

    public PepperRing Peppers { get; } = peppers;

    /// <summary>Signs what is written; null for who only reads.</summary>
    public AuditKey? AuditKey { get; } = auditKey;

    /// <summary>May other nodes write to it?</summary>
    public abstract bool IsShared { get; }

    /// <summary>Where the data lies, for people; without secrets.</summary>
    public string Place => Airtable is null ? Database : $"Airtable, with the ledger in {Database}";

    /// <summary>
    /// The source of truth of keys, when that is not the database; then that holds the ledger, and a mirror of the
    /// keys.
    /// </summary>
    public AirtableOptions? Airtable { get; private init; }

    /// <summary>For serving, or a command that writes: what belongs to one process alone is made and locked.</summary>
    /// <param name="contentRoot">The folder of the program, which holds no data.</param>
    /// <param name="timeout">How long another process may still hold it.</param>
    /// <exception cref="SettingException">It is not usable.</exception>
    public static async Task<StoreChoice> TakeAsync(
        SettingReader settings, string contentRoot, TimeSpan timeout, TimeProvider clock, CancellationToken cancellationToken)
    {
        var airtable = AirtableOf(settings);
        if (IsInPostgres(settings, airtable))
        {
            var choice = new PostgresChoice(PostgresOptions.Read(settings), Files.Peppers.Demand(settings), AuditKeys.Demand(settings)) { Airtable = airtable };
            await choice.Options.FindPoolerAsync(cancellationToken);
            return choice;
        }

        var folder = FolderOf(settings, contentRoot);
        folder.Prepare();
        var processLock = await ProcessLock.TakeAsync(folder.Lock, timeout, clock, cancellationToken);
        try
        {
            return new SqliteChoice(folder, processLock, PeppersOf(settings, folder, airtable), AuditKeys.Load(settings, folder)) { Airtable = airtable };
        }
        catch
        {
            processLock.Dispose();
            throw;
        }
    }

    /// <summary>For a command that only reads, beside a process that serves.</summary>
    /// <exception cref="SettingException">It is not usable.</exception>
    public static StoreChoice Find(SettingReader settings, string contentRoot)
    {
        var airtable = AirtableOf(settings);
        if (IsInPostgres(settings, airtable))
            return new PostgresChoice(PostgresOptions.Read(settings), Files.Peppers.Demand(settings), null) { Airtable = airtable };

        var folder = FolderOf(settings, contentRoot);
        return new SqliteChoice(folder, null, PeppersOf(settings, folder, airtable, mayMake: false), null) { Airtable = airtable };
    }

    /// <summary>The folder of the embedded store, or of Airtable's ledger; null when these lie in PostgreSQL.</summary>
    /// <exception cref="SettingException">It cannot be this folder.</exception>
    public static DataFolder? FindFolder(SettingReader settings, string contentRoot) =>
        IsInPostgres(settings, AirtableOf(settings)) ? null : FolderOf(settings, contentRoot);

    protected abstract string Database { get; }

    /// <summary>Adds what reads and writes this kind of store.</summary>
    public abstract void AddTo(IServiceCollection services);

    public virtual void Dispose() => GC.SuppressFinalize(this);

    internal static string Name(SettingReader settings) => settings.Choice(Setting, "Mira:Store", Sqlite, Sqlite, Postgres, InAirtable);

    private static AirtableOptions? AirtableOf(SettingReader settings) => Name(settings) == InAirtable ? AirtableOptions.Read(settings) : null;

    private static bool IsInPostgres(SettingReader settings, AirtableOptions? airtable) =>
        Name(settings) == Postgres || (airtable is not null && PostgresOptions.AreGiven(settings));

    // With the keys in Airtable, a data folder that is lost must not take their pepper with it.
    private static PepperRing PeppersOf(SettingReader settings, DataFolder folder, AirtableOptions? airtable, bool mayMake = true) =>
        airtable is null ? Files.Peppers.Load(settings, folder, mayMake) : Files.Peppers.Demand(settings);

    private static DataFolder FolderOf(SettingReader settings, string contentRoot) =>
        DataFolder.At(settings.Text(DataFolder.Setting, "Mira:DataDirectory"), contentRoot);

    private sealed class SqliteChoice(DataFolder folder, ProcessLock? processLock, PepperRing peppers, AuditKey? auditKey)
        : StoreChoice(peppers, auditKey)
    {
        public override bool IsShared => false;

        protected override string Database => folder.Path;

        public override void AddTo(IServiceCollection services)
        {
            services.AddPooledDbContextFactory<MiraDbContext>(options => SqliteStore.Configure(options, folder));
            services.AddSingleton(folder);
            services.AddSingleton<SqlStore, SqliteStore>();
            services.AddSingleton<IUsageStore, SqlUsageStore>();
            // By a factory, so that the container lets go of the folder when it is disposed.
            if (processLock is not null)
                services.AddSingleton(_ => processLock);
        }

        public override void Dispose()
        {
            processLock?.Dispose();
            base.Dispose();
        }
    }

    private sealed class PostgresChoice(PostgresOptions postgres, PepperRing peppers, AuditKey? auditKey) : StoreChoice(peppers, auditKey)
    {
        public PostgresOptions Options => postgres;

        public override bool IsShared => true;

        protected override string Database => postgres.Place;

        public override void AddTo(IServiceCollection services)
        {
            services.AddPooledDbContextFactory<PostgresDbContext>(
                options => PostgresStore.Configure(options, AuditKey is null ? postgres.Reading : postgres.Calls));
            services.AddSingleton<IDbContextFactory<MiraDbContext>, PostgresContexts>();
            services.AddSingleton(postgres);
            services.AddSingleton<SqlStore, PostgresStore>();
            // With a gate of its own: use is written beside the ledger's lock, and neither waits for the other.
            services.AddSingleton<IUsageStore>(provider => ActivatorUtilities.CreateInstance<SqlUsageStore>(
                provider, new SingleWriter(provider.GetRequiredService<TimeProvider>())));
        }
    }
}
