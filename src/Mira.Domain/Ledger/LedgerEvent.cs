using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Mira.Domain.Ledger;

/// <summary>
/// One entry of the ledger. Its hash is SHA-256 over the RFC 8785 canonical JSON of all its other fields, among them
/// the hash of the entry before, so that none can be changed, removed or put between without changing every later one.
/// </summary>
/// <param name="Body">The canonical JSON without <c>hash</c>: what is hashed, and what is stored.</param>
/// <param name="Hash">Lower-case hex.</param>
public sealed record LedgerEvent(
    long Seq, DateTimeOffset At, string Type, string? ActorKeyId, string? Subject, string Body, string PreviousHash, string Hash)
{
    public const int FormatVersion = 1;

    /// <summary>What the first entry names as the one before it: 64 zeros.</summary>
    public static readonly string NoHash = new('0', SHA256.HashSizeInBytes * 2);

    public static LedgerEvent Append(LedgerPosition head, DateTimeOffset at, PendingEvent draft)
    {
        var seq = head.Seq + 1;
        var body = CanonicalJson.Write(new JsonObject
        {
            ["v"] = FormatVersion,
            ["seq"] = seq,
            ["at"] = Rfc3339.Format(at),
            ["type"] = draft.Type,
            ["actor"] = new JsonObject
            {
                ["key_id"] = draft.Actor.KeyId,
                ["name"] = draft.Actor.Name,
                ["role"] = draft.Actor.Role,
                ["ip"] = draft.Actor.Ip,
                ["user_agent"] = draft.Actor.UserAgent,
            },
            ["subject"] = draft.Subject,
            ["outcome"] = draft.Outcome,
            ["reason"] = draft.Reason,
            ["correlation_id"] = draft.CorrelationId,
            ["count"] = draft.Aggregation?.Count,
            ["first_at"] = draft.Aggregation is { } first ? Rfc3339.Format(first.FirstAt) : null,
            ["last_at"] = draft.Aggregation is { } last ? Rfc3339.Format(last.LastAt) : null,
            ["changes"] = draft.Changes.Count == 0 ? null : ToObject(draft.Changes),
            ["prev_hash"] = head.Hash,
        });
        return new LedgerEvent(seq, at, draft.Type, draft.Actor.KeyId, draft.Subject, body, head.Hash, HashOf(body));
    }

    /// <summary>Stands in the place of an event that cannot be read; it is never whole and follows none.</summary>
    public static LedgerEvent Unreadable(long seq) => new(seq, default, "", null, null, "", "", "");

    /// <summary>Does it stand for one that cannot be read?</summary>
    public bool IsUnreadable => Body.Length == 0;

    public LedgerPosition Position => new(Seq, Hash);

    /// <summary>
    /// How it stands in the canonical form that an event is of its own, and gathers no others; nothing else can look
    /// like it.
    /// </summary>
    public const string OfItsOwn = "\"count\":null";

    /// <summary>
    /// May its subject do something else since? A change of a key, and a violation for which one was quarantined;
    /// aggregated ones change nothing.
    /// </summary>
    public bool ChangesKey =>
        Type.StartsWith(EventType.OfKeys, StringComparison.Ordinal)
        || (Type == EventType.IntegrityViolation && Body.Contains(OfItsOwn, StringComparison.Ordinal));

    /// <summary>Is it whole, and the one that follows <paramref name="previous"/>?</summary>
    public bool Follows(LedgerPosition previous) =>
        Seq == previous.Seq + 1 && PreviousHash == previous.Hash && IsWhole();

    public static string HashOf(string body) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(body)));

    /// <summary>
    /// Is it what was hashed, and do the columns beside the body say the same? These exist to search by; a changed one
    /// would show an event under a false name. Whoever can write the ledger can also hash a body again that is no event
    /// at all: that is a "no" as well, and never an exception.
    /// </summary>
    public bool IsWhole()
    {
        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(Body.Length));
        try
        {
            var body = bytes.AsSpan(0, Encoding.UTF8.GetBytes(Body, bytes));
            return IsHashOf(body, Hash) && EventBody.Agrees(body, this);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    internal static bool IsHashOf(ReadOnlySpan<byte> body, ReadOnlySpan<char> hash)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        Span<char> text = stackalloc char[SHA256.HashSizeInBytes * 2];
        SHA256.HashData(body, digest);
        Convert.TryToHexStringLower(digest, text, out _);
        return text.SequenceEqual(hash);
    }

    private static JsonObject ToObject(IReadOnlyList<FieldChange> changes) => new(changes.Select(change =>
        KeyValuePair.Create<string, JsonNode?>(
            change.Field,
            new JsonObject { ["from"] = change.From?.DeepClone(), ["to"] = change.To?.DeepClone() })));
}

/// <summary>The newest entry of a ledger, or of what a node has seen of it.</summary>
public sealed record LedgerPosition(long Seq, string Hash)
{
    public static LedgerPosition Start { get; } = new(0, LedgerEvent.NoHash);
}

/// <summary>An event that has no place in the ledger yet.</summary>
public sealed record PendingEvent(string Type, Actor Actor, string? Subject, string? CorrelationId)
{
    public string Outcome { get; init; } = "success";

    public string? Reason { get; init; }

    public IReadOnlyList<FieldChange> Changes { get; init; } = [];

    /// <summary>Null unless it stands for many of its kind. Stored under an earlier name.</summary>
    [JsonPropertyName("Gathered")]
    public Aggregation? Aggregation { get; init; }
}

/// <summary>How often it happened, and when first and last.</summary>
public sealed record Aggregation(long Count, DateTimeOffset FirstAt, DateTimeOffset LastAt);
