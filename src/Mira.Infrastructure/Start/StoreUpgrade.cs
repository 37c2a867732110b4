using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Settings;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Start;

/// <summary>
/// Makes or upgrades the tables of the store that the settings name, and does nothing else: the command <c>migrate</c>.
/// </summary>
public static class StoreUpgrade
{
    /// <summary>
    /// In PostgreSQL it needs neither pepper nor audit key, so that only this command runs with an account that may
    /// change tables. A data folder is prepared as at a start, and must not be in use.
    /// </summary>
    /// <param name="contentRoot">The folder of the program, which holds no data.</param>
    /// <param name="timeout">How long another process may still hold a data folder.</param>
    /// <returns>The migrations it applied, in their order.</returns>
    /// <exception cref="SettingException">The store is not usable, or a newer version has upgraded it.</exception>
    public static async Task<IReadOnlyList<string>> RunAsync(
        SettingReader settings, string contentRoot, TimeSpan timeout, TimeProvider clock, CancellationToken cancellationToken)
    {
        var schema = new SchemaOptions(MayChange: true);
        if (StoreChoice.FindFolder(settings, contentRoot) is null)
        {
            var postgres = PostgresOptions.Read(settings);
            var options = new DbContextOptionsBuilder<PostgresDbContext>();
            PostgresStore.Configure(options, postgres.Calls);
            var contexts = new PostgresContexts(new PooledDbContextFactory<PostgresDbContext>(options.Options));
            return await UpgradeAsync(new PostgresStore(contexts, postgres, clock, schema), cancellationToken);
        }

        using var choice = await StoreChoice.TakeAsync(settings, contentRoot, timeout, clock, cancellationToken);
        var services = new ServiceCollection().AddLogging().AddSingleton(clock).AddSingleton(schema).AddMiraStore(choice);
        await using var parts = services.BuildServiceProvider();
        return await UpgradeAsync(parts.GetRequiredService<SqlStore>(), cancellationToken);
    }

    private static async Task<IReadOnlyList<string>> UpgradeAsync(SqlStore store, CancellationToken cancellationToken)
    {
        await store.OpenAsync(cancellationToken);
        return store.Applied;
    }
}
