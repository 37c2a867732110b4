using System.Runtime.CompilerServices;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Copy;

/// <summary>
/// Copies the keys of one store into another with ids, digests and versions, so that no token changes. It may be ended
/// and begun again at any time. The ledger of the source stays where it is; that of the target records each key it
/// takes in.
/// </summary>
/// <param name="contentRoot">The folder of the program, which holds no data.</param>
/// <param name="timeout">How long another process may still hold a store.</param>
/// <param name="isDryRun">Tells what would be done, and writes no key, event or record.</param>
public sealed class StoreCopy(SettingReader settings, string contentRoot, TimeSpan timeout, TimeProvider clock, bool isDryRun) : IAsyncDisposable
{
    private const string SourceOption = "--from";
    private const string TargetOption = "--to";

    /// <summary>Committed as one; also what is written to Airtable in one go.</summary>
    private const int ChunkSize = 50;

    private const string WithheldProblem = "it is refused, because its record in Airtable is not as Mira left it";

    private readonly Stack<IAsyncDisposable> _open = new();

    /// <summary>Tells of each key, oldest first, as soon as it is done.</summary>
    /// <exception cref="SettingException">One of the stores is not usable, or the target would not know a
    /// pepper.</exception>
    /// <exception cref="StoreUnavailableException">A store cannot be read.</exception>
    /// <exception cref="LedgerUnavailableException">The target cannot be written.</exception>
    public async IAsyncEnumerable<CopiedKey> RunAsync(string from, string to, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (source, target) = (StoreAddress.Read(SourceOption, from, settings, contentRoot), StoreAddress.Read(TargetOption, to, settings, contentRoot));
        if (source.Kind == target.Kind && source.SharesDatabaseWith(target))
            throw new SettingException(TargetOption, $"is the store that {SourceOption} names");

        var reading = await OpenSourceAsync(source, cancellationToken);
        var writing = await OpenTargetAsync(source, reading, target, cancellationToken);
        await foreach (var some in reading.Store.ReadKeysAsync(cancellationToken).Concat(reading.Unmirrored.ToAsyncEnumerable()).Chunk(ChunkSize))
        {
            ApiKey[] sound = [.. some.Where(key => !key.IsQuarantined && !key.IsDoubted)];
            var told = isDryRun ? await writing.LookAsync(sound, cancellationToken) : await writing.PutAsync(sound, cancellationToken);
            foreach (var key in some)
            {
                yield return told.GetValueOrDefault(key.Id)
                    ?? new CopiedKey(key.Id, CopyResult.Failed, key.IsDoubted ? new KeyNotAuthenticException(key.Id).Message : WithheldProblem);
            }

            if (writing.Stop is { } problem)
                throw new StoreUnavailableException($"{problem}. Begin again when it is back: what is copied stays.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        while (_open.TryPop(out var last))
            await last.DisposeAsync();
    }

    private async Task<Source> OpenSourceAsync(StoreAddress address, CancellationToken cancellationToken)
    {
        if (!address.IsInAirtable)
        {
            var store = Keep(await OpenedStore.ForReadingAsync(address, contentRoot, clock, cancellationToken));
            return store.IsThere ? new Source(store, [], new HashSet<KeyId>()) : throw new SettingException(address.Option, "there is no store there");
        }

        var mirror = await OpenLedgerAsync(address, cancellationToken);
        var airtable = Keep(await AirtableSide.OpenAsync(mirror, clock, cancellationToken));
        var mirrored = await mirror.ReadKeysAsync(cancellationToken).Select(key => key.Id).ToHashSetAsync(cancellationToken: cancellationToken);
        if (!isDryRun)
        {
            await airtable.UpdateMirrorAsync(cancellationToken);
            return new Source(mirror, [], mirrored);
        }

        var table = await airtable.ReadTableAsync(cancellationToken);
        return new Source(mirror, [.. table.Keys.Where(key => !mirrored.Contains(key.Id))], mirrored);
    }

    private async Task<CopyTarget> OpenTargetAsync(StoreAddress source, Source reading, StoreAddress target, CancellationToken cancellationToken)
    {
        var reason = $"copied from {source.Kind}";
        var (address, pepper) = GivePepper(source, target);
        var look = Keep(await OpenedStore.ForReadingAsync(address, contentRoot, clock, cancellationToken));
        await DemandPeppersAsync(reading, look.Peppers, cancellationToken);
        if (!address.IsInAirtable)
        {
            // A table's mirror in the same database was filled when the table was read, and is all that is wanted.
            if (!isDryRun && source.SharesDatabaseWith(target))
                return new CopyTarget(reading.Store, reason) { Before = reading.Mirrored };
            return new CopyTarget(isDryRun ? look : Keep(await OpenedStore.ForWritingAsync(address, contentRoot, timeout, clock, pepper, cancellationToken)), reason);
        }

        var ledger = await OpenLedgerAsync(address, cancellationToken);
        var airtable = Keep(await AirtableSide.OpenAsync(ledger, clock, cancellationToken));
        return new CopyTarget(ledger, reason, airtable, await airtable.ReadTableAsync(cancellationToken));
    }

    /// <summary>The ledger beside a table. A dry run makes none, and upgrades none.</summary>
    private async Task<OpenedStore> OpenLedgerAsync(StoreAddress address, CancellationToken cancellationToken)
    {
        if (isDryRun)
        {
            var look = Keep(await OpenedStore.ForReadingAsync(address, contentRoot, clock, cancellationToken));
            if (!look.IsThere)
                return look;
        }

        return Keep(await OpenedStore.ForWritingAsync(address, contentRoot, timeout, clock, () => { }, cancellationToken));
    }

    /// <summary>Between data folders the pepper goes with the keys, when neither has another one.</summary>
    private (StoreAddress Target, Action Lay) GivePepper(StoreAddress source, StoreAddress target)
    {
        if (Peppers.AreGiven(settings) || source.Folder is not { } folder || !File.Exists(folder.Pepper))
            return (target, () => { });
        if (!target.IsInFolder)
            throw new SettingException(Peppers.FileSetting, $"must be given: {folder.Pepper} is that of the keys in {source.Kind}, and {target.Kind} needs it, here and in the service");
        if (File.Exists(target.Folder!.Pepper) || File.Exists(target.Folder.Database))
            return (target, () => { });

        return (target with { Settings = target.Settings.With(Peppers.FileSetting, folder.Pepper) }, Lay);

        void Lay()
        {
            try
            {
                SafeFile.Write(target.Folder.Pepper, File.ReadAllText(folder.Pepper), replace: false);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new SettingException(TargetOption, "the pepper cannot be written there", exception);
            }
        }
    }

    private async Task DemandPeppersAsync(Source reading, PepperRing peppers, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var stored = reading.Store.IsThere ? await reading.Store.Part<SqlStore>().CountLiveSecretsAsync(now, cancellationToken) : new Dictionary<string, int>();
        var unmirrored = reading.Unmirrored.Where(key => key.RevokedAt is null)
            .SelectMany(key => key.Secrets).Where(secret => secret.Deadline is not { } end || end > now).CountBy(secret => secret.PepperId);
        var unlisted = stored.Concat(unmirrored).Where(pair => peppers.Find(pair.Key) is null)
            .GroupBy(pair => pair.Key, pair => pair.Value).Select(group => $"{group.Sum()} under {group.Key}").ToList();
        if (unlisted.Count > 0)
        {
            throw new SettingException(
                Peppers.Setting,
                $"the target would not know the pepper of live secrets ({string.Join(", ", unlisted)}): list it in {Peppers.RetiredSetting}, here and in the service (an embedded store has its own in the file pepper)");
        }
    }

    private T Keep<T>(T part)
        where T : IAsyncDisposable
    {
        _open.Push(part);
        return part;
    }

    /// <param name="Unmirrored">Keys that are in the table and not in the store yet.</param>
    /// <param name="Mirrored">What was in the store before the table was read.</param>
    private sealed record Source(OpenedStore Store, IReadOnlyList<ApiKey> Unmirrored, IReadOnlySet<KeyId> Mirrored);
}
