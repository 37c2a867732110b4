using System.Reflection;
using AutoMapper;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Audit;
using Mira.Application.Background;
using Mira.Application.Keys;
using Mira.Application.Ledger;
using Mira.Application.Limits;
using Mira.Application.Metrics;
using Mira.Application.Pipeline;
using Mira.Application.Verification;

namespace Mira.Application;

/// <summary>How the host takes this project in.</summary>
public static class Registration
{
    /// <summary>
    /// Use cases with their validators and views, and the verification path. The host adds the ports and the options.
    /// </summary>
    /// <param name="autoMapperLicenseKey">AutoMapper's own licence; without it the library logs a warning.</param>
    public static IServiceCollection AddMiraApplication(this IServiceCollection services, string? autoMapperLicenseKey)
    {
        services.AddScoped<ServiceFactory>(provider => provider.GetRequiredService);
        services.AddScoped<IMediator, Mediator>();
        foreach (var type in Assembly.GetExecutingAssembly().GetTypes().Where(type => type is { IsClass: true, IsAbstract: false, IsGenericType: false }))
        {
            foreach (var contract in type.GetInterfaces().Where(IsHandlerOrValidator))
                services.AddTransient(contract, type);
        }

        // The first one is the outermost.
        services.AddScoped(typeof(IPipelineBehavior<,>), typeof(AuditScopeBehavior<,>));
        services.AddScoped(typeof(IPipelineBehavior<,>), typeof(ValidationBehavior<,>));
        services.AddScoped(typeof(IPipelineBehavior<,>), typeof(IdempotencyBehavior<,>));
        services.AddScoped<AuditScope>();
        services.AddSingleton<RunningIdempotentRequests>();

        services.AddSingleton(provider => new MapperConfiguration(
            map =>
            {
                map.LicenseKey = autoMapperLicenseKey;
                map.AddMaps(Assembly.GetExecutingAssembly());
            },
            provider.GetRequiredService<ILoggerFactory>()).CreateMapper());

        services.AddSingleton<KeyCache>();
        services.AddSingleton(provider => new RecentChanges(provider.GetRequiredService<LedgerPollerOptions>().RememberedChanges));
        services.AddSingleton<AggregatedEvents>();
        services.AddSingleton<LedgerPoller>();
        services.AddSingleton<VerifiedLedger>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<VerifiedLedger>());
        services.AddSingleton<EventViolations>();
        services.AddSingleton<LedgerHashes>();
        services.AddSingleton<RowViolations>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<RowViolations>());
        services.AddSingleton<UsageLog>();
        services.AddSingleton(provider =>
            new ServiceMetrics().Watching(provider.GetServices<IMetricSource>()));
        services.AddSingleton(provider => new QuietTime(provider.GetRequiredService<LedgerPollerOptions>().IsShared, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<LoopBoard>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<LoopBoard>());
        services.AddSingleton<LedgerCounters>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<LedgerCounters>());
        services.AddSingleton<IMetricSource, LedgerMetrics>();
        services.AddSingleton<Verifier>();
        services.AddSingleton<VerifyKeyHandler>();
        services.AddSingleton<FailureLimiter>();
        services.AddSingleton(provider => new RateLimiter(
            provider.GetRequiredService<LimitOptions>(), provider.GetRequiredService<TimeProvider>(), provider.GetService<ISharedLimits>()));
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<RateLimiter>());
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<KeyCache>());
        return services;
    }

    private static bool IsHandlerOrValidator(Type contract) =>
        contract.IsGenericType
        && (contract.GetGenericTypeDefinition() == typeof(IRequestHandler<,>) || contract.GetGenericTypeDefinition() == typeof(IValidator<>));
}
