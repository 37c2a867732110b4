using System.Text.Json;
using System.Text.Json.Nodes;
using AutoMapper;
using Mira.Domain.Ledger;

namespace Mira.Application.Audit;

/// <summary>One event of the ledger. Its hash covers the canonical JSON (RFC 8785) of all other fields.</summary>
public sealed record AuditEventView
{
    /// <summary>The version of this form.</summary>
    public required int V { get; init; }

    /// <summary>Its number in the ledger, from 1 without a gap.</summary>
    public required long Seq { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <example>key.rotated</example>
    public required string Type { get; init; }

    public required ActorView Actor { get; init; }

    /// <summary>The id of the key it concerns.</summary>
    public required string? Subject { get; init; }

    public required string Outcome { get; init; }

    public required string? Reason { get; init; }

    public required string? CorrelationId { get; init; }

    /// <summary>How many calls it stands for, when it gathers several.</summary>
    public required long? Count { get; init; }

    public required DateTimeOffset? FirstAt { get; init; }

    public required DateTimeOffset? LastAt { get; init; }

    /// <summary>Each changed field, before and after.</summary>
    public required IReadOnlyDictionary<string, ChangeView>? Changes { get; init; }

    /// <summary>The hash of the event before; 64 zeros for the first.</summary>
    public required string PrevHash { get; init; }

    /// <summary>SHA-256 in lower-case hex.</summary>
    public required string Hash { get; init; }
}

/// <summary>Who did it: a key, or <c>system</c>.</summary>
public sealed record ActorView(string? KeyId, string? Name, string? Role, string? Ip, string? UserAgent);

/// <summary>A field before and after; text, number, truth value, list or pairs.</summary>
public sealed record ChangeView(JsonNode? From, JsonNode? To);

internal sealed class AuditEventProfile : Profile
{
    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    // The body is what was hashed, so the view shows the body and not the columns beside it.
    public AuditEventProfile() => CreateMap<LedgerEvent, AuditEventView>().ConvertUsing(entry => Read(entry));

    private static AuditEventView Read(LedgerEvent entry)
    {
        var body = JsonNode.Parse(entry.Body)!.AsObject();
        body["hash"] = entry.Hash;
        return body.Deserialize<AuditEventView>(Snake)!;
    }
}
