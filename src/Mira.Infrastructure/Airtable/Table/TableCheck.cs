using System.Net;
using Mira.Application.Settings;

namespace Mira.Infrastructure.Airtable;

/// <summary>The table before anything else is done with it: a person is told in one line what to set right.</summary>
public static class TableCheck
{
    private const string TableSetting = "AIRTABLE_TABLE";

    /// <summary>Holds the table what it must?</summary>
    /// <exception cref="SettingException">It does not, or cannot be asked.</exception>
    public static async Task DemandAsync(AirtableClient client, CancellationToken cancellationToken)
    {
        var problems = TableSchema.Problems(await AskAsync(() => client.FindTableAsync(cancellationToken)));
        if (problems.Count > 0)
            throw new SettingException(TableSetting, $"{string.Join("; ", problems)} (airtable create-table makes what is missing)");
    }

    /// <summary>The same for a start, which goes on without Airtable when that does not answer.</summary>
    /// <returns>Why it could not be asked; null when the table is right.</returns>
    /// <exception cref="SettingException">It is not, or Airtable refuses the token or the base.</exception>
    public static async Task<string?> CheckAsync(AirtableClient client, CancellationToken cancellationToken)
    {
        try
        {
            await DemandAsync(client, cancellationToken);
            return null;
        }
        catch (SettingException exception) when (exception.InnerException is AirtableException { Status: not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound) } away)
        {
            return away.Message;
        }
    }

    /// <summary>Makes the table or the fields it lacks.</summary>
    /// <returns>What was done, a line each; nothing when there was nothing to do.</returns>
    /// <exception cref="SettingException">It could not be done.</exception>
    public static Task<IReadOnlyList<string>> CreateTableAsync(AirtableClient client, CancellationToken cancellationToken) =>
        AskAsync(() => TableSchema.CreateTableAsync(client, cancellationToken));

    private static async Task<T> AskAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (AirtableException exception)
        {
            throw exception.Status switch
            {
                HttpStatusCode.Unauthorized => new SettingException("AIRTABLE_TOKEN", "Airtable does not accept it", exception),
                HttpStatusCode.Forbidden or HttpStatusCode.NotFound => new SettingException(
                    "AIRTABLE_TOKEN",
                    "it may not do this in the base AIRTABLE_BASE_ID, or there is no such base: it needs that base and the scopes schema.bases:read and, to make a table, schema.bases:write",
                    exception),
                _ => new SettingException("AIRTABLE_URL", exception.Message, exception),
            };
        }
    }
}
