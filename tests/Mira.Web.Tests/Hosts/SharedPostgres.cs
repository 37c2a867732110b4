using Mira.TestServers;

namespace Mira.Web.Tests.Hosts;

/// <summary>One PostgreSQL for all tests of this assembly that do it no harm, made when the first one asks for it.</summary>
internal static class SharedPostgres
{
    public const string Pepper = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    private static readonly Lazy<Task<PostgresServer>> Started = new(PostgresServer.StartNewAsync);

    public static Task<PostgresServer> Server => Started.Value;

    /// <summary>What a node needs to use a new database, together with all others that are given the same.</summary>
    public static async Task<(string Name, string Value)[]> NewStoreAsync()
    {
        var server = await Server;
        return SettingsFor(server.ConnectionString(await server.CreateDatabaseAsync()));
    }

    public static (string Name, string Value)[] SettingsFor(string address) =>
        [("MIRA_STORE", "postgres"), ("MIRA_POSTGRES", address), ("MIRA_PEPPER", Pepper)];

    public static async Task StopAsync()
    {
        if (Started.IsValueCreated)
            await (await Server).DisposeAsync();
    }
}
