namespace Mira.TestServers.Airtable;

/// <summary>How strict the stand-in is. What is not given is as on the real thing.</summary>
public sealed record AirtableServerOptions
{
    public const string ReadRecords = "data.records:read";
    public const string WriteRecords = "data.records:write";
    public const string ReadSchema = "schema.bases:read";
    public const string WriteSchema = "schema.bases:write";

    public static readonly IReadOnlyList<string> AllScopes = [ReadRecords, WriteRecords, ReadSchema, WriteSchema];

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What the token may do.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = AllScopes;

    /// <summary>Calls of the base in any second; null for no limit.</summary>
    public int? CallsPerSecond { get; init; } = 5;

    /// <summary>How long everything is refused after that limit was exceeded.</summary>
    public TimeSpan LockOut { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the offset of a list is remembered.</summary>
    public TimeSpan OffsetLife { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a slow answer takes, and a lost one is held before its connection is dropped.</summary>
    public TimeSpan Slowness { get; init; } = TimeSpan.FromMilliseconds(300);

    public TimeSpan Hold { get; init; } = TimeSpan.FromSeconds(60);
}
