namespace Mira.TestServers.Airtable;

/// <summary>A call as it arrived.</summary>
/// <param name="At">Since the server was made, by its own clock.</param>
/// <param name="Path">Decoded, without the query.</param>
public sealed record AirtableArrival(TimeSpan At, string Method, string Path, string Query, string Body)
{
    public bool IsWrite => Method is not "GET";

    public bool IsUpsert => Method == "PATCH" && Body.Contains("performUpsert", StringComparison.Ordinal);
}
