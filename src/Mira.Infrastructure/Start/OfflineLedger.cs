using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Mira.Application.Settings;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>
/// A ledger looked at from outside, beside a service that may be running: with neither pepper nor private key, and
/// without writing.
/// </summary>
/// <param name="Keys">Those that are believed.</param>
/// <param name="Anchors">What was published before.</param>
public sealed record OfflineLedger(IReadOnlyList<AuditPublicKey> Keys, IReadOnlyList<Checkpoint> Anchors)
{
    private const string DataOption = "--data";
    private const string FileOption = "--file";
    private const string KeyOption = "--public-key";
    private const string AnchorOption = "--anchor";

    /// <summary>
    /// Takes the keys and anchors from these files; without a file of keys, the public part of the key that the
    /// settings or the folder have.
    /// </summary>
    /// <exception cref="SettingException">A file cannot be read, or there is no key.</exception>
    public static OfflineLedger Of(SettingReader settings, string contentRoot, string? data, string? publicKey, string? anchor)
    {
        var keys = publicKey is null ? [FindKey(settings, FolderOf(settings, contentRoot, data))] : AuditKeys.ParsePublic(KeyOption, publicKey);
        return new OfflineLedger(keys, anchor is null ? [] : ReadAnchors(anchor));
    }

    /// <summary>Checks an export.</summary>
    /// <exception cref="SettingException">It cannot be read.</exception>
    public async Task<(ChainFault? ChainFault, ChainProof Proof)> CheckFileAsync(string path, CancellationToken cancellationToken)
    {
        var proof = new ChainProof(Keys, Anchors);
        try
        {
            await using var file = File.OpenRead(path);
            return (await CheckAsync(file, new ExportFile(proof), cancellationToken), proof);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(FileOption, "cannot be read", exception);
        }
    }

    /// <summary>Checks the ledger of a data folder, or without one that of the store that the settings name.</summary>
    /// <exception cref="SettingException">There is none.</exception>
    /// <exception cref="Application.Ledger.StoreUnavailableException">It cannot be read.</exception>
    public async Task<(ChainFault? ChainFault, ChainProof Proof)> CheckStoreAsync(SettingReader settings, string contentRoot, string? data, CancellationToken cancellationToken)
    {
        var contexts = ContextsOf(settings, FolderOf(settings, contentRoot, data), data);
        await DemandKnownTablesAsync(contexts, cancellationToken);
        var proof = new ChainProof(Keys, Anchors);
        var flaw = await LedgerVerification.CheckAsync(
            new SqlLedgerReader(contexts), new SqlLedgerArchive(contexts), () => proof = new ChainProof(Keys, Anchors), cancellationToken);
        return (flaw, proof);
    }

    /// <summary>Checks the records of keys, when there is a pepper to do it with.</summary>
    /// <exception cref="SettingException">A pepper is not usable.</exception>
    /// <exception cref="Application.Ledger.StoreUnavailableException">They cannot be read.</exception>
    public static async Task<RowReport> CheckRowsAsync(SettingReader settings, string contentRoot, string? data, CancellationToken cancellationToken)
    {
        var folder = FolderOf(settings, contentRoot, data);
        return FindPeppers(settings, folder) is { } peppers
            ? await RowReport.MakeAsync(ContextsOf(settings, folder, data), new RowAuthenticator(peppers), cancellationToken)
            : new RowReport("the records of keys are not checked: no pepper is given", IsRight: true);
    }

    // One that lies in the folder may be nobody's business here, and is not asked for.
    private static PepperRing? FindPeppers(SettingReader settings, DataFolder? folder)
    {
        if (folder is null)
            return Peppers.AreGiven(settings) ? Peppers.Demand(settings) : null;
        try
        {
            return Peppers.AreGiven(settings) || File.Exists(folder.Pepper) ? Peppers.Load(settings, folder, mayMake: false) : null;
        }
        catch (SettingException) when (!Peppers.AreGiven(settings))
        {
            return null;
        }
    }

    private static async Task<ChainFault?> CheckAsync(FileStream file, ExportFile export, CancellationToken cancellationToken)
    {
        var chunk = new byte[1 << 18];
        for (var read = await file.ReadAsync(chunk, cancellationToken); read > 0; read = await file.ReadAsync(chunk, cancellationToken))
        {
            if (export.Take(chunk.AsSpan(0, read)) is { } flaw)
                return flaw;
        }

        return export.End();
    }

    private static AuditPublicKey FindKey(SettingReader settings, DataFolder? folder) =>
        AuditKeys.FindPublic(settings, folder) ?? throw new SettingException(KeyOption, "must be given: there is no audit key here");

    private static DataFolder? FolderOf(SettingReader settings, string contentRoot, string? data) =>
        data is not null ? DataFolder.At(data, contentRoot) : StoreChoice.FindFolder(settings, contentRoot);

    private static IDbContextFactory<MiraDbContext> ContextsOf(SettingReader settings, DataFolder? folder, string? data)
    {
        if (folder is null)
        {
            var options = new DbContextOptionsBuilder<PostgresDbContext>();
            PostgresStore.Configure(options, PostgresOptions.Read(settings).Reading);
            return new PostgresContexts(new PooledDbContextFactory<PostgresDbContext>(options.Options));
        }

        if (!File.Exists(folder.Database))
            throw new SettingException(data is null ? DataFolder.Setting : DataOption, "there is no ledger in the folder");

        var connection = new SqliteConnectionStringBuilder { DataSource = folder.Database, Mode = SqliteOpenMode.ReadOnly };
        return new PooledDbContextFactory<MiraDbContext>(new DbContextOptionsBuilder<MiraDbContext>().UseSqlite(connection.ToString()).Options);
    }

    // What a newer version writes may be right there and wrong here; that is no forgery.
    private static Task<SchemaState> DemandKnownTablesAsync(IDbContextFactory<MiraDbContext> contexts, CancellationToken cancellationToken) =>
        contexts.ReadAsync("The ledger cannot be read.", database => SchemaState.ReadAsync(database, StoreChoice.Setting, cancellationToken), cancellationToken);

    internal static List<Checkpoint> ReadAnchors(string path)
    {
        try
        {
            var anchors = AnchorFile.Read(path).ToList();
            return anchors.Count > 0 ? anchors : throw new SettingException(AnchorOption, "the file holds no checkpoint");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SettingException(AnchorOption, "the file cannot be read", exception);
        }
    }
}
