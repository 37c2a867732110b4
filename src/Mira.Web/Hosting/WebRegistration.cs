using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization.Policy;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Mvc.Formatters;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.AspNetCore.Mvc.ModelBinding.Metadata;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Mira.Application.Keys;
using Mira.Application.Metrics;
using Mira.Application.Pipeline;
using Mira.Application.Settings;
using Mira.Web.Authentication;
using Mira.Web.Authorization;
using Mira.Web.Calls;
using Mira.Web.Endpoints;
using Mira.Web.Json;
using Mira.Web.Lifetime;
using Mira.Web.Logging;
using Mira.Web.OpenApi;
using Mira.Web.Requests;

namespace Mira.Web.Hosting;

/// <summary>The web half of the service: what it is made of, and the order in which a request meets it.</summary>
public static class WebRegistration
{
    public static void AddMiraWeb(this WebApplicationBuilder builder, SettingReader settings)
    {
        var services = builder.Services;
        var edge = EdgeOptions.Read(settings);
        var drain = GracefulShutdownOptions.Read(settings);
        LogSetup.Apply(builder.Logging, settings);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            var room = kestrel.ApplicationServices.GetRequiredService<ConnectionRoom>();
            kestrel.ConfigureEndpointDefaults(listen => listen.Use(next => connection => room.ServeAsync(connection, next)));
            kestrel.Limits.MaxRequestBodySize = StrictJsonInputFormatter.MaximumSizeFramed;
            EdgeOptions.Apply(kestrel);
        });
        services.Configure<HostOptions>(host =>
        {
            host.ShutdownTimeout = drain.Duration + GracefulShutdownOptions.Grace;
            // The loops handle what they throw. Whatever gets past them stops that loop alone.
            host.BackgroundServiceExceptionBehavior = BackgroundServiceExceptionBehavior.Ignore;
        });
        services.AddSingleton(drain);
        services.AddSingleton<GracefulShutdown>();
        services.AddHostedService<UnobservedFailures>();
        services.AddHostedService(provider => provider.GetRequiredService<GracefulShutdown>());
        services.AddSingleton(ConnectionRoomOptions.OfProcess());
        services.AddSingleton<ConnectionRoom>();
        services.AddSingleton<SocketTransportFactory>();
        services.AddSingleton<IConnectionListenerFactory, RoomyListenerFactory>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<ConnectionRoom>());
        services.AddSingleton(edge);
        services.AddSingleton<IgnoredForwarding>();
        var hasLicenseKey = settings.Text(StartNotices.LicenseSetting, StartNotices.LicensePath) is not null;
        services.AddHostedService(provider => ActivatorUtilities.CreateInstance<StartNotices>(provider, hasLicenseKey));
        services.AddSingleton(LoadGuardOptions.Read(settings));
        services.AddSingleton<RequestMetrics>();
        services.AddSingleton<RunningCalls>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<RunningCalls>());
        services.AddCors(cors => cors.AddDefaultPolicy(edge.Apply));
        services.Configure<ForwardedHeadersOptions>(edge.Apply);

        services.AddSingleton<CurrentRequest>();
        services.AddScoped<ICaller, HttpCaller>();
        services.AddSingleton<CallEvents>();
        // AddAuthentication would also bring data protection, which writes key files for cookies that are not used
        // here.
        services.AddWebEncoders();
        new AuthenticationBuilder(services)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthenticationHandler>(ApiKeyAuthenticationHandler.SchemeName, null);
        services.AddAuthorization(Policies.Configure);
        // The check is for the platform's own middleware, whose place KeyAuthorization takes.
        services.AddRouting(routing => routing.SuppressCheckForUnhandledSecurityMetadata = true);
        services.AddSingleton<IPolicyEvaluator, KeyPolicyEvaluator>();
        services.AddSingleton<VerifyKeyValidator>();
        services.AddSingleton<VerifyEndpoint>();
        AddJsonControllers(services);
        services.AddMiraOpenApi();
        services.AddSingleton<Readiness>();
        services.AddSingleton<IMetricSource>(provider => provider.GetRequiredService<Readiness>());
        services.AddMiraMetrics(OtlpOptions.Read(settings));
    }

    /// <summary>Serves the API: the pipeline of every call, and what is mapped behind it.</summary>
    public static void UseMiraWeb(this WebApplication app)
    {
        CallPipeline.Use(app);
        AuthEndpoints.Map(app);
        app.MapControllers();
        app.MapMiraOpenApi();
        app.MapMiraMetrics();
    }

    private static void AddJsonControllers(IServiceCollection services)
    {
        services
            .AddControllers(mvc =>
            {
                mvc.InputFormatters.Clear();
                mvc.InputFormatters.Add(new StrictJsonInputFormatter(JsonSetup.Options));
                mvc.OutputFormatters.Clear();
                mvc.OutputFormatters.Add(Utf8Json());
                // Forms would be read before anybody asked for them.
                mvc.ValueProviderFactories.RemoveType<FormValueProviderFactory>();
                mvc.ValueProviderFactories.RemoveType<FormFileValueProviderFactory>();
                mvc.ValueProviderFactories.RemoveType<JQueryFormValueProviderFactory>();
                mvc.ModelValidatorProviders.Clear();
                mvc.ModelMetadataDetailsProviders.Add(new EmptyStaysEmpty());
            })
            .ConfigureApiBehaviorOptions(api =>
            {
                // Every error has one form and one place: ProblemTable.
                api.SuppressModelStateInvalidFilter = true;
                api.SuppressMapClientErrors = true;
            })
            .AddJsonOptions(json => JsonSetup.Apply(json.JsonSerializerOptions));
        // The document describes the same JSON.
        services.ConfigureHttpJsonOptions(json => JsonSetup.Apply(json.SerializerOptions));
    }

    // The platform's own would also write UTF-16, and text/json, to who asks for them.
    private static SystemTextJsonOutputFormatter Utf8Json()
    {
        var formatter = new SystemTextJsonOutputFormatter(JsonSetup.Options);
        formatter.SupportedEncodings.Clear();
        formatter.SupportedEncodings.Add(Encoding.UTF8);
        formatter.SupportedMediaTypes.Clear();
        formatter.SupportedMediaTypes.Add("application/json");
        return formatter;
    }

    /// <summary>
    /// An empty parameter is a wrong value and no absent one: a script that forgot to set a variable must not get
    /// everything.
    /// </summary>
    private sealed class EmptyStaysEmpty : IDisplayMetadataProvider
    {
        public void CreateDisplayMetadata(DisplayMetadataProviderContext context) => context.DisplayMetadata.ConvertEmptyStringToNull = false;
    }
}
