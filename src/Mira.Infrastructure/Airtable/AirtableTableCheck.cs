using System.Net;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Airtable;

/// <summary>Holds the table to its form before anything is done with it.</summary>
internal static class AirtableTableCheck
{
    /// <exception cref="SettingException">Airtable refuses the token or the base, or the table is not as it must be.</exception>
    /// <exception cref="AirtableException">Airtable does not answer.</exception>
    public static async Task DemandAsync(AirtableClient client, CancellationToken cancellationToken)
    {
        AirtableTable? table;
        try
        {
            table = await client.FindTableAsync(cancellationToken);
        }
        catch (AirtableException exception) when (Refusal(exception.Status) is { } refusal)
        {
            throw new SettingException(refusal.Setting, refusal.Problem, exception);
        }

        if (AirtableSchema.Problems(table) is { Count: > 0 } problems)
            throw new SettingException("AIRTABLE_TABLE", $"{string.Join("; ", problems)} (dotnet Mira.Web.dll airtable create-table makes what is missing)");
    }

    private static (string Setting, string Problem)? Refusal(HttpStatusCode? status) => status switch
    {
        HttpStatusCode.Unauthorized => ("AIRTABLE_TOKEN", "Airtable does not know this token"),
        HttpStatusCode.Forbidden => ("AIRTABLE_TOKEN", "the token may not see the base and its tables (it needs data.records:read, data.records:write and schema.bases:read, and the base)"),
        HttpStatusCode.NotFound => ("AIRTABLE_BASE_ID", "Airtable knows no such base, or does not show it to this token"),
        _ => null,
    };
}
