using Mira.Application;
using Mira.Application.Keys;
using Mira.Application.Limits;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Infrastructure;
using Mira.Infrastructure.Admins;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Backup;
using Mira.Infrastructure.Copy;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;
using Mira.Web.Commands;
using Mira.Web.Hosting;
using Mira.Web.Lifetime;
using Mira.Web.Logging;

// Composes the service and runs it, or one of its commands. Nothing else names Infrastructure.
try
{
    if (CommandLine.IsToServe(args))
    {
        CommandLine.DemandSettings(args);
        await using var app = await BuildAsync(args);
        await StartAsync(app);
        ShowStart(app);
        await app.WaitForShutdownAsync();
        return 0;
    }

    return await CommandLine.RunAsync(args, new CommandLine.Actions(MigrateAsync, CreateAdminAsync, PepperStatusAsync, CreateTableAsync, CopyStoreAsync, CheckAuditAsync, BackupAsync, RestoreAsync));
}
catch (OperationCanceledException)
{
    // Told to stop before it had started.
    return 0;
}
catch (SettingException exception)
{
    // One line, and nothing of what lies behind it.
    await Console.Error.WriteLineAsync($"mira: {exception.Message}");
    return 1;
}

static WebApplicationBuilder CreateBuilder(string[] args)
{
    // Watching files for changes wakes at every write below the content root, and costs more than half of the
    // throughput there.
    var builder = WebApplication.CreateBuilder(new WebApplicationOptions
    {
        Args = ["--hostBuilder:reloadConfigOnChange=false", .. args],
        ContentRootPath = AppContext.BaseDirectory,
    });
    builder.Configuration.AddUserSecrets(typeof(Program).Assembly, optional: true, reloadOnChange: false);
    builder.Configuration.AddKeyPerFile("/run/secrets", optional: true, reloadOnChange: false);
    return builder;
}

static SettingReader ReadSettings()
{
    var configuration = CreateBuilder([]).Configuration;
    return new SettingReader(path => configuration[path]);
}

static async Task<WebApplication> BuildAsync(string[] args)
{
    var builder = CreateBuilder(args);
    var settings = new SettingReader(path => builder.Configuration[path]);
    builder.AddMiraWeb(settings);
    builder.Services.AddSingleton(TimeProvider.System);
    builder.Services.AddSingleton(KeyDefaults.Read(settings));
    builder.Services.AddSingleton(KeyCacheOptions.Read(settings));
    builder.Services.AddSingleton(LimitOptions.Read(settings));
    var following = LedgerPollerOptions.Read(settings);
    builder.Services.AddMiraApplication(settings.Text(StartNotices.LicenseSetting, StartNotices.LicensePath));

    ServedAddresses.Demand(settings);
    var timeout = GracefulShutdownOptions.Read(settings).Duration + GracefulShutdownOptions.Rest;
    var store = await StoreChoice.TakeAsync(settings, AppContext.BaseDirectory, timeout, TimeProvider.System, CancellationToken.None);
    try
    {
        builder.Services.AddSingleton(following with { IsShared = store.IsShared });
        builder.Services.AddSingleton(store);
        builder.Services.AddMiraInfrastructure(settings, store);
        var app = builder.Build();
        app.UseMiraWeb();
        return app;
    }
    catch
    {
        store.Dispose();
        throw;
    }
}

static async Task StartAsync(WebApplication app)
{
    try
    {
        await app.StartAsync();
    }
    catch (Exception exception)
    {
        // Nobody could ask for it again.
        app.Services.GetRequiredService<FirstAdmin>().Show();
        // What had started already is told to end.
        await app.StopAsync();
        throw ServedAddresses.Refusal(exception) ?? exception;
    }
}

static void ShowStart(WebApplication app)
{
    var options = app.Services.GetRequiredService<FirstAdminOptions>();
    if (!options.IsShownLater)
        return;

    var token = app.Services.GetRequiredService<FirstAdmin>().Take();
    Console.Error.Write(Greeting.Of(app.Urls, app.Services.GetRequiredService<StoreChoice>().Place, token, options.File));
    app.Lifetime.ApplicationStopping.Register(() => Console.Error.WriteLine("Mira stops."));
}

static async Task MigrateAsync(CancellationToken cancellationToken)
{
    var settings = ReadSettings();
    var timeout = GracefulShutdownOptions.Read(settings).Duration + GracefulShutdownOptions.Rest;
    MigrateCommand.Print(await StoreUpgrade.RunAsync(settings, AppContext.BaseDirectory, timeout, TimeProvider.System, cancellationToken));
}

static async Task CreateAdminAsync(string name, string? file, CancellationToken cancellationToken)
{
    await using var app = await BuildAsync([]);
    await app.Services.GetRequiredService<NodeStart>().OpenAsync(cancellationToken);
    await using var airtable = app.Services.GetService<WriterLease>() is { } lease ? new LeaseKeepAlive(lease, TimeProvider.System) : null;
    await AdminCommand.RunAsync(app.Services, name, file, cancellationToken);
}

static async Task PepperStatusAsync(CancellationToken cancellationToken)
{
    var builder = CreateBuilder([]);
    var settings = new SettingReader(path => builder.Configuration[path]);
    using var store = StoreChoice.Find(settings, AppContext.BaseDirectory);
    // The lines are the answer, and nothing else may be among them.
    builder.Logging.ClearProviders();
    builder.Services.AddMiraStore(store);
    builder.Services.AddSingleton(TimeProvider.System);
    await using var app = builder.Build();
    var database = app.Services.GetRequiredService<SqlStore>();
    await database.IsThereAsync(cancellationToken);
    var counts = await database.CountNeedsAsync(store.Peppers.Current.Id, TimeProvider.System.GetUtcNow(), cancellationToken);
    PepperCommand.Print(store.Peppers, counts);
}

static async Task<int> CopyStoreAsync(string from, string to, bool isDryRun, CancellationToken cancellationToken)
{
    var settings = ReadSettings();
    var timeout = GracefulShutdownOptions.Read(settings).Duration + GracefulShutdownOptions.Rest;
    await using var copy = new StoreCopy(settings, AppContext.BaseDirectory, timeout, TimeProvider.System, isDryRun);
    return await StoreCommand.PrintAsync(copy.RunAsync(from, to, cancellationToken));
}

static async Task CreateTableAsync(CancellationToken cancellationToken)
{
    var builder = CreateBuilder([]);
    builder.Logging.ClearProviders();
    builder.Services.AddSingleton(TimeProvider.System);
    builder.Services.AddAirtableClient(AirtableOptions.Read(new SettingReader(path => builder.Configuration[path])));
    await using var app = builder.Build();
    var client = app.Services.GetRequiredService<AirtableClient>();
    AirtableCommand.Print(await TableCheck.CreateTableAsync(client, cancellationToken));
    await TableCheck.DemandAsync(client, cancellationToken);
}

static async Task<AuditFinding> CheckAuditAsync(AuditSource source, CancellationToken cancellationToken)
{
    var settings = ReadSettings();
    var view = OfflineLedger.Of(settings, AppContext.BaseDirectory, source.Data, source.PublicKey, source.Anchor);
    var (flaw, proof) = source.File is { } file
        ? await view.CheckFileAsync(file, cancellationToken)
        : await view.CheckStoreAsync(settings, AppContext.BaseDirectory, source.Data, cancellationToken);
    if (source.File is not null || flaw is not null)
        return new AuditFinding(flaw, proof);

    var rows = await OfflineLedger.CheckRowsAsync(settings, AppContext.BaseDirectory, source.Data, cancellationToken);
    return new AuditFinding(flaw, proof, rows.Text, rows.IsRight);
}

static async Task<BackupCommand.Result> BackupAsync(BackupCommand.Request request, CancellationToken cancellationToken)
{
    var settings = ReadSettings();
    var made = await new StoreBackup(request.To, request.PassphraseFile, request.MayReplace)
        .RunAsync(settings, AppContext.BaseDirectory, TimeProvider.System, cancellationToken);
    return new BackupCommand.Result(made.Seq, made.MadeAt, made.Secrets is not null);
}

static async Task<RestoreCommand.Result> RestoreAsync(RestoreCommand.Request request, CancellationToken cancellationToken)
{
    var settings = ReadSettings();
    var restored = await new StoreRestore(request.From, request.PassphraseFile, request.Anchor, request.Export)
        .RunAsync(settings, AppContext.BaseDirectory, TimeProvider.System, cancellationToken);
    var manifest = restored.Manifest;
    return new RestoreCommand.Result(
        manifest.Seq, manifest.MadeAt, manifest.MiraVersion, restored.Folder, restored.Fault, restored.Rows, restored.IsOlder, restored.KnownUpTo,
        [.. restored.Lost.Select(change => FormattableString.Invariant($"event {change.Seq}, {change.Type} of {change.KeyId} at {change.At}"))], restored.RetiredPeppers);
}
