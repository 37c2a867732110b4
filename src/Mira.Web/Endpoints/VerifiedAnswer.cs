using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Mira.Application.Keys;
using Mira.Domain.Keys;
using Mira.Web.Json;

namespace Mira.Web.Endpoints;

/// <summary>
/// Writes a <see cref="VerifiedKey"/>. A caller that did not prove the secret learns the decision and nothing else.
/// </summary>
internal sealed class VerifiedAnswer(Decision decision, DateTimeOffset now)
{
    private static readonly byte[] Nothing = [];
    private static readonly string[] Decisions = [.. Enum.GetValues<VerdictCode>().Select(FirstOf)];

    public Task WriteAsync(HttpContext context)
    {
        var described = decision.Verification is { Key: { } key, Use: { } use } ? use.Description ??= KeyJson.PropertiesOf(Described.Of(key, use.Secret)) : Nothing;
        return KeyJson.WriteAsync(context, before: Decisions[(int)decision.Code], described, after: "", decision.Limit, now);
    }

    private static string FirstOf(VerdictCode code) => $"{{\"valid\":{(code == VerdictCode.Valid ? "true" : "false")},\"code\":\"{code.Name()}\"";

    /// <summary>What a <see cref="VerifiedKey"/> says of the key whatever the decision is.</summary>
    private sealed record Described(
        string KeyId,
        string Name,
        string Role,
        string? Owner,
        IReadOnlyList<string> Permissions,
        IReadOnlyDictionary<string, string> Metadata,
        DateTimeOffset? ExpiresAt)
    {
        public static Described Of(ApiKey key, Secret secret) =>
            new(key.Id.Value, key.Name, key.Role.Name(), key.Owner, key.Permissions, key.Metadata, secret.ExpiresAt);
    }
}

/// <summary>
/// How the one body of <see cref="VerifyEndpoint"/> is read: generated when the service is compiled, by the rules of
/// <see cref="JsonSetup"/>.
/// </summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(VerifyKey))]
internal sealed partial class VerifyKeyJson : JsonSerializerContext
{
    public static JsonTypeInfo<VerifyKey> Type { get; } = new VerifyKeyJson(JsonSetup.Rules()).VerifyKey;
}
