using Microsoft.Extensions.DependencyInjection;

namespace Mira.Infrastructure.Airtable;

public static class AirtableRegistration
{
    private static readonly TimeSpan ConnectPatience = TimeSpan.FromSeconds(3);

    /// <summary>The client of the table, with one pace for all of this process.</summary>
    public static IServiceCollection AddAirtableClient(this IServiceCollection services, AirtableOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<AirtablePace>();
        services.AddSingleton<AirtablePipeline>();
        services.AddHttpClient<AirtableClient>(http =>
            {
                // Each attempt has its own limit.
                http.Timeout = Timeout.InfiniteTimeSpan;
            })
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                // The token goes to the one address it was given for.
                AllowAutoRedirect = false,
                UseCookies = false,
                ConnectTimeout = ConnectPatience,
            })
            // Addresses name the base, and headers hold the token.
            .RemoveAllLoggers();
        return services;
    }
}
