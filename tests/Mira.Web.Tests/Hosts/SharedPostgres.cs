using Mira.Domain.Ledger;
using Mira.TestServers;

namespace Mira.Web.Tests.Hosts;

/// <summary>One PostgreSQL for all tests of this assembly that do it no harm, made when the first one asks for it.</summary>
internal static class SharedPostgres
{
    public const string Pepper = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    /// <summary>Signs the ledgers of all of them.</summary>
    public static readonly string AuditKeyPem = AuditKey.Generate().ExportPem();

    private static readonly Lazy<Task<PostgresServer>> Started = new(PostgresServer.StartNewAsync);

    public static Task<PostgresServer> Server => Started.Value;

    /// <summary>What a node needs to use a new database, together with all others that are given the same.</summary>
    public static async Task<(string Name, string Value)[]> NewStoreAsync()
    {
        var server = await Server;
        return SettingsFor(server.ConnectionString(await server.CreateDatabaseAsync()));
    }

    public static (string Name, string Value)[] SettingsFor(string address) =>
        [("MIRA_STORE", "postgres"), ("MIRA_POSTGRES", address), ("MIRA_PEPPER", Pepper), ("MIRA_AUDIT_KEY", AuditKeyPem)];

    public static async Task StopAsync()
    {
        if (Started.IsValueCreated)
            await (await Server).DisposeAsync();
    }
}
