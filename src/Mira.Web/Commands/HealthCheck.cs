using System.Net;
using Mira.Web.Hosting;

namespace Mira.Web.Commands;

/// <summary>
/// <c>health</c>: asks a running node whether it is ready. A container's health check calls this, so it needs no curl.
/// </summary>
internal static class HealthCheck
{
    /// <summary>Shorter than the limit of a container's health check, so that the reason is seen.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(4);

    /// <returns>Null when the node is ready, else the reason why it does not count as ready.</returns>
    /// <param name="url">The address of the node; null for the one that <c>ASPNETCORE_URLS</c> names.</param>
    public static async Task<string?> AskAsync(string? url, CancellationToken cancellationToken)
    {
        if (Target(url ?? Served()) is not { } target)
        {
            return url is null
                ? "ASPNETCORE_URLS names no address that can be asked; give --url"
                : "--url must be an address like http://localhost:5000";
        }

        // A proxy of the environment is for calls that leave the machine.
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Limit };
        try
        {
            using var response =
                await client.GetAsync(target, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return response.StatusCode == HttpStatusCode.OK ? null : $"{target} answers {(int)response.StatusCode}";
        }
        catch (HttpRequestException exception)
        {
            return $"{target} does not answer: {exception.Message}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"{target} does not answer within {Limit.TotalSeconds} s";
        }
    }

    private static string Served() =>
        Environment.GetEnvironmentVariable("ASPNETCORE_URLS")?.Split(';')[0] ?? "http://localhost:5000";

    /// <summary>
    /// The readiness probe below an address; a server that listens everywhere is asked on this machine.
    /// </summary>
    private static Uri? Target(string address)
    {
        if (ServedAddresses.Parse(address) is not { IsUnixPipe: false } binding)
            return null;

        var host = binding.Host is "+" or "*" or "0.0.0.0" or "[::]" ? "localhost" : binding.Host;
        return Uri.TryCreate($"{binding.Scheme}://{host}:{binding.Port}{binding.PathBase}/health/ready", UriKind.Absolute, out var target) ? target : null;
    }
}
