using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Admins;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Ledger;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;
using Mira.Infrastructure.Usage;

namespace Mira.Infrastructure;

public static class Registration
{
    /// <summary>The embedded store in its data folder, and what runs beside the calls.</summary>
    public static IServiceCollection AddMiraInfrastructure(
        this IServiceCollection services, SettingReader settings, DataFolder folder, PepperRing peppers, ProcessLock processLock)
    {
        services.AddMiraStore(folder, peppers);
        // By a factory, so that the container lets go of the folder when it is disposed.
        services.AddSingleton(_ => processLock);
        services.AddSingleton(FirstAdminOptions.Read(settings));
        services.AddSingleton<ITokenFile, SafeFile>();
        services.AddSingleton<WriteGate>();
        services.AddSingleton<IUsageStore, SqlUsageStore>();
        services.AddSingleton<ILedgerHealth>(provider => provider.GetRequiredService<WriteGate>());
        services.AddScoped<ILedger, SqlLedger>();
        services.AddMiraRedis(RedisOptions.Read(settings));

        // Started in this order and stopped in the reverse one: the last use is flushed before the ledger is closed.
        services.AddSingleton<NodeStart>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeStart>());
        services.AddHostedService<UsageFlush>();
        services.AddHostedService<GatherFlush>();
        services.AddHostedService<FollowLoop>();
        services.AddHostedService<ChainCheck>();
        services.AddHostedService<WriteProbe>();
        return services;
    }

    /// <summary>The embedded store for reading alone.</summary>
    public static IServiceCollection AddMiraStore(this IServiceCollection services, DataFolder folder, PepperRing peppers)
    {
        services.AddPooledDbContextFactory<MiraDbContext>(options => SqliteStore.Configure(options, folder));
        services.AddSingleton(folder);
        services.AddSingleton(peppers);
        services.AddSingleton<SqliteStore>();
        services.AddSingleton<IKeyStore, SqlKeyStore>();
        services.AddSingleton<ILedgerReader, SqlLedgerReader>();
        return services;
    }
}
