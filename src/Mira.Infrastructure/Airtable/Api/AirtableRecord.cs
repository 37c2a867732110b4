using System.Text.Json.Nodes;

namespace Mira.Infrastructure.Airtable;

/// <summary>A row of the table.</summary>
/// <param name="Id">Airtable's own id of it, <c>rec…</c>; a copy made manually has another one.</param>
/// <param name="Fields">Its cells by the names of their fields. Airtable leaves out empty ones; in a change, null
/// empties a cell and what is absent is kept.</param>
public sealed record AirtableRecord(string Id, JsonObject Fields)
{
    /// <summary>Airtable answered something else in its place: at most its id is known.</summary>
    public bool IsUnreadable { get; private init; }

    /// <param name="id">Empty when not even that was there.</param>
    public static AirtableRecord Unreadable(string id) => new(id, []) { IsUnreadable = true };

    /// <summary>Without its cells, which hold digests and what people wrote.</summary>
    public override string ToString() => Id;
}

/// <summary>At most a hundred rows.</summary>
/// <param name="Offset">Where the next page begins; null on the last one. It is forgotten after some minutes.</param>
/// <param name="ServedAt">When, by Airtable's own clock, in whole seconds (the <c>Date</c> of the answer).</param>
public sealed record AirtablePage(IReadOnlyList<AirtableRecord> Records, string? Offset, DateTimeOffset ServedAt);

/// <summary>Who goes first when calls wait for their turn.</summary>
public enum CallPriority
{
    /// <summary>Polls, full reads and write-backs, which can wait.</summary>
    Background,

    /// <summary>A change somebody waits for.</summary>
    Change,
}
