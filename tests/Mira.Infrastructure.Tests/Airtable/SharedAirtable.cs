using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>
/// One stand-in without a limit of calls for all tests that do it no harm; each has a table of its own in it.
/// </summary>
internal static class SharedAirtable
{
    private static Lazy<Task<AirtableServer>> _server = NotStarted();

    public static Task<AirtableServer> ServerAsync() => _server.Value;

    public static async Task StopAsync()
    {
        if (_server.IsValueCreated)
            await (await _server.Value).DisposeAsync();
        _server = NotStarted();
    }

    private static Lazy<Task<AirtableServer>> NotStarted() => new(() => AirtableServer.StartAsync(new AirtableServerOptions { CallsPerSecond = null }));
}
