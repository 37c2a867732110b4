using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Mira.Application.Ledger;
using Mira.Application.Metrics;
using Mira.Application.Verification;

namespace Mira.Infrastructure.Airtable;

public static class AirtableRegistration
{
    private static readonly HttpRequestOptionsKey<bool> HasConnected = new("Mira.HasConnected");

    /// <summary>
    /// The table is the source of truth of keys. They are verified from the ledger's database as with any other store.
    /// </summary>
    public static IServiceCollection AddMiraAirtable(this IServiceCollection services, AirtableOptions options)
    {
        services.AddAirtableClient(options);
        services.AddSingleton<RecordMapper>();
        services.AddSingleton<MirrorStore>();
        services.AddSingleton<WriterLease>();
        services.AddSingleton<RecordWriter>();
        services.AddSingleton<IntentDispatcher>();
        services.AddSingleton<RecordComparison>();
        services.AddSingleton<RecordReconciler>();
        services.AddSingleton<TablePoller>();
        services.AddSingleton<RecordRepairs>();
        services.AddSingleton<AirtableStatus>();
        services.AddSingleton<IKeySource>(provider => provider.GetRequiredService<AirtableStatus>());
        services.AddSingleton<IMetricSource, AirtableMetrics>();
        services.AddSingleton<AirtableSyncLoops>();
        services.AddScoped<ILedger, AirtableLedger>();
        return services;
    }

    /// <summary>The client of the table, with one pace for all of this process.</summary>
    public static IServiceCollection AddAirtableClient(this IServiceCollection services, AirtableOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<RequestLimiter>();
        services.AddSingleton<RequestPipeline>();
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
                ConnectTimeout = options.ConnectPatience,
                // A connection that was kept may be dead by now, and then nobody knows whether the call went out.
                PooledConnectionLifetime = TimeSpan.Zero,
                ConnectCallback = ConnectOnceAsync,
            })
            // Addresses name the base, and headers hold the token.
            .RemoveAllLoggers();
        return services;
    }

    /// <summary>
    /// The platform by itself sends a request without a body up to three times more when its connection is closed
    /// before an answer. The pace would know nothing of these calls.
    /// </summary>
    private static async ValueTask<Stream> ConnectOnceAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var options = context.InitialRequestMessage.Options;
        if (options.TryGetValue(HasConnected, out _))
            throw new SentBeforeException();

        options.Set(HasConnected, true);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>The platform wanted to send a request once more by itself.</summary>
internal sealed class SentBeforeException() : IOException("Sent before.");
