using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure.Copy;

/// <summary>
/// One of the two stores that keys are copied between, with its own parts: nothing of the one is known to the other.
/// </summary>
internal sealed class OpenedStore : IAsyncDisposable
{
    /// <summary>Small enough that no statement comes near the limits of time.</summary>
    private const int PageSize = 200;

    private readonly StoreChoice _choice;
    private readonly ServiceProvider _parts;

    private OpenedStore(StoreChoice choice, ServiceProvider parts) => (_choice, _parts) = (choice, parts);

    /// <summary>Is there a database? A store that is only read may have none.</summary>
    public bool IsThere { get; private init; }

    public PepperRing Peppers => _choice.Peppers;

    private IDbContextFactory<MiraDbContext> Contexts => Part<IDbContextFactory<MiraDbContext>>();

    /// <summary>Beside a process that serves, and without making anything.</summary>
    /// <exception cref="SettingException">It is not usable.</exception>
    public static async Task<OpenedStore> ForReadingAsync(StoreAddress address, string contentRoot, TimeProvider clock, CancellationToken cancellationToken)
    {
        var choice = StoreChoice.Find(address.Settings, contentRoot);
        var services = new ServiceCollection().AddLogging().AddSingleton(clock).AddMiraStore(choice);
        if (choice.Airtable is { } airtable)
            services.AddAirtableClient(airtable).AddSingleton<RecordMapper>();
        return await HoldAsync(choice, services, async parts =>
        {
            if (!await parts.GetRequiredService<SqlStore>().IsThereAsync(cancellationToken))
                return false;

            await using var database = await parts.GetRequiredService<IDbContextFactory<MiraDbContext>>().CreateDbContextAsync(cancellationToken);
            parts.GetRequiredService<RowAuthenticator>().IsStrict = await RowMacEvent.IsThereAsync(database, cancellationToken);
            return true;
        });
    }

    /// <summary>As a service that starts: with what belongs to one process alone, made or upgraded.</summary>
    /// <exception cref="SettingException">It is not usable, or another process uses it.</exception>
    public static async Task<OpenedStore> ForWritingAsync(
        StoreAddress address, string contentRoot, TimeSpan patience, TimeProvider clock, Action prepare, CancellationToken cancellationToken)
    {
        var settings = address.Settings;
        var choice = await StoreChoice.TakeAsync(settings, contentRoot, patience, clock, cancellationToken);
        var services = new ServiceCollection().AddLogging().AddSingleton(clock)
            .AddSingleton(KeyCacheOptions.Read(settings))
            .AddSingleton(LedgerPollerOptions.Read(settings) with { IsShared = choice.IsShared })
            .AddMiraApplication(autoMapperLicenseKey: null)
            .AddMiraInfrastructure(settings, choice);
        return await HoldAsync(choice, services, async parts =>
        {
            prepare();
            await parts.GetRequiredService<NodeStart>().OpenAsync(cancellationToken);
            return true;
        });
    }

    public T Part<T>()
        where T : notnull => _parts.GetRequiredService<T>();

    /// <summary>Its keys, in the order in which they came.</summary>
    /// <exception cref="StoreUnavailableException">They cannot be read.</exception>
    public async IAsyncEnumerable<ApiKey> ReadKeysAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var page = IsThere ? await ReadPageAsync(0, cancellationToken) : [];
        for (var seq = 0L; page.Count > 0;)
        {
            foreach (var (key, _) in page)
                yield return key;
            // A place that is no number is read as one and comes after all others; it must not begin anew.
            var last = page.Max(row => row.Seq);
            page = last > seq ? await ReadPageAsync(last, cancellationToken) : [];
            seq = last;
        }
    }

    public Task<T> ReadAsync<T>(Func<MiraDbContext, Task<T>> read, CancellationToken cancellationToken) =>
        Contexts.ReadAsync("The keys cannot be read.", read, cancellationToken);

    /// <summary>Changes it under its ledger's lock.</summary>
    /// <exception cref="LedgerUnavailableException">It cannot be written.</exception>
    public async Task<T> ChangeAsync<T>(Func<SqlLedgerChange, Task<T>> change, CancellationToken cancellationToken)
    {
        await using var scope = _parts.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<SqlLedger>().TransactAsync(change, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _parts.DisposeAsync();
        _choice.Dispose();
    }

    private static async Task<OpenedStore> HoldAsync(StoreChoice choice, IServiceCollection services, Func<IServiceProvider, Task<bool>> open)
    {
        var parts = services.BuildServiceProvider();
        try
        {
            return new OpenedStore(choice, parts) { IsThere = await open(parts) };
        }
        catch
        {
            await parts.DisposeAsync();
            choice.Dispose();
            throw;
        }
    }

    private async Task<List<(ApiKey Key, long Seq)>> ReadPageAsync(long after, CancellationToken cancellationToken)
    {
        var page = await ReadAsync(
            database => database.Keys
                .OrderBy(key => EF.Property<long>(key, KeyColumns.CreatedSeq)).Where(key => EF.Property<long>(key, KeyColumns.CreatedSeq) > after).Take(PageSize)
                .AsNoTracking().ReadAsync(database, cancellationToken),
            cancellationToken);
        page.ForEach(row => Part<RowAuthenticator>().Examine(row));
        return [.. page.Select(row => (row.Key, row.CreatedSeq))];
    }
}
