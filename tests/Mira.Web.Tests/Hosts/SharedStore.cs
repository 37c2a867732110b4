using Mira.Domain.Ledger;
using Mira.TestServers;

namespace Mira.Web.Tests.Hosts;

/// <summary>Settings of nodes that share a database of PostgreSQL.</summary>
internal static class SharedStore
{
    public const string Pepper = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    /// <summary>Signs the ledgers of all of them.</summary>
    public static readonly string AuditKeyPem = AuditKey.Generate().ExportPem();

    /// <summary>The settings of a new database. All nodes that are given the same share it.</summary>
    public static async Task<(string Name, string Value)[]> NewAsync()
    {
        var server = await SharedPostgres.ServerAsync();
        return SettingsFor(server.ConnectionString(await server.CreateDatabaseAsync()));
    }

    public static (string Name, string Value)[] SettingsFor(string address) =>
        [("MIRA_STORE", "postgres"), ("MIRA_POSTGRES", address), ("MIRA_PEPPER", Pepper), ("MIRA_AUDIT_KEY", AuditKeyPem)];
}
