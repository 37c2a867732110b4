using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Mira.Application.Admins;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Settings;
using Mira.Application.Verification;
using Mira.Infrastructure.Admins;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Files;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;

namespace Mira.Infrastructure;

public static class Registration
{
    /// <summary>The chosen store, and what runs beside the calls.</summary>
    public static IServiceCollection AddMiraInfrastructure(this IServiceCollection services, SettingReader settings, StoreChoice store)
    {
        services.AddMiraStore(store);
        services.AddSingleton(SchemaOptions.Read(settings));
        services.AddSingleton(FirstAdminOptions.Read(settings));
        services.AddSingleton<FirstAdmin>();
        services.AddSingleton<ITokenFile, SafeFile>();
        services.AddSingleton<SingleWriter>();
        services.AddScoped<SqlLedger>();
        if (store.Airtable is { } airtable)
            services.AddMiraAirtable(airtable);
        else
            services.AddScoped<ILedger>(provider => provider.GetRequiredService<SqlLedger>());
        services.AddSingleton(settings);
        services.AddSingleton(store.AuditKey ?? throw new InvalidOperationException("The store was taken for reading alone."));
        services.AddSingleton<HeadSigner>();
        services.AddSingleton(AnchorOptions.Read(settings));
        services.AddSingleton(RetentionOptions.Read(settings));
        services.AddSingleton<CheckpointAnchor>();
        services.AddSingleton<ILedgerHealth, LedgerHealth>();
        services.AddMiraRedis(RedisOptions.Read(settings));

        // Started in this order and stopped in the reverse one: the last use is flushed before the ledger is closed,
        // and the last checkpoint comes after that.
        services.AddHostedService<CheckpointPublisher>();
        services.AddHostedService(provider => provider.GetRequiredService<CheckpointAnchor>());
        services.AddSingleton<AuditKeyStartup>();
        services.AddSingleton(RowOptions.Read(settings));
        services.AddSingleton<RowMacStartup>();
        services.AddSingleton<NodeStart>();
        services.AddHostedService(provider => provider.GetRequiredService<NodeStart>());
        if (store.Airtable is not null)
            services.AddHostedService(provider => provider.GetRequiredService<AirtableSyncLoops>());
        services.AddHostedService<UsageFlush>();
        services.AddHostedService<AggregatedEventFlush>();
        services.AddHostedService<LedgerPollLoop>();
        services.AddSingleton(ChainCheckOptions.Read(settings));
        services.AddHostedService<ChainCheck>();
        services.AddHostedService<RowVerification>();
        services.AddHostedService<LedgerRetention>();
        services.AddHostedService<WriteProbe>();
        services.AddHostedService<DelayedStartEvent>();
        services.AddSingleton<ExpiringKeyCount>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<ExpiringKeyCount>());
        services.AddHostedService(provider => provider.GetRequiredService<ExpiringKeyCount>());
        if (store.IsShared)
        {
            services.AddSingleton<ClockCheck>();
            services.AddHostedService(provider => provider.GetRequiredService<ClockCheck>());
            services.AddHostedService<LedgerListener>();
        }

        return services;
    }

    /// <summary>The chosen store for reading alone.</summary>
    public static IServiceCollection AddMiraStore(this IServiceCollection services, StoreChoice store)
    {
        store.AddTo(services);
        services.AddSingleton(store.Peppers);
        services.TryAddSingleton<AggregatedEvents>();
        services.TryAddSingleton<RowViolations>();
        services.AddSingleton<RowAuthenticator>();
        services.AddSingleton<IKeyStore, SqlKeyStore>();
        services.AddSingleton<ILedgerReader, SqlLedgerReader>();
        services.AddSingleton<SqlLedgerArchive>();
        services.AddSingleton<ILedgerArchive>(provider => provider.GetRequiredService<SqlLedgerArchive>());
        return services;
    }
}
