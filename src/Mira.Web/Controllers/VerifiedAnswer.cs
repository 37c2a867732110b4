using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Web.Json;

namespace Mira.Web.Controllers;

/// <summary>
/// Answers with a <see cref="VerifiedKey"/>. What it says of the key is serialised once for each of its secrets; of a call's own there are only the
/// decision and the limit.
/// </summary>
internal sealed class VerifiedAnswer(Decision decision, DateTimeOffset now)
{
    /// <summary>Room for what is around the description.</summary>
    private const int LongestRest = 256;

    private static ReadOnlySpan<byte> FirstOfKey => "\"key_id\":"u8;

    private static ReadOnlySpan<byte> AfterKey => "\"rate_limit\":"u8;

    public async Task WriteAsync(HttpContext context)
    {
        var description = decision.Verification is { Key: { } key, Use: { } use } ? use.Description ??= Describe(key, use.Secret) : [];
        var whole = ArrayPool<byte>.Shared.Rent(description.Length + LongestRest);
        var length = Write(whole, description);
        var response = context.Response;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = length;
        // One write: the server puts it behind the headers and sends both together.
        await response.Body.WriteAsync(whole.AsMemory(0, length));
        ArrayPool<byte>.Shared.Return(whole);
    }

    private int Write(Span<byte> whole, ReadOnlySpan<byte> description)
    {
        var valid = decision.Code == VerdictCode.Valid ? "true" : "false";
        Utf8.TryWrite(whole, CultureInfo.InvariantCulture, $"{{\"valid\":{valid},\"code\":\"{decision.Code.Name()}\"", out var length);
        // Who did not prove the secret learns the verdict and nothing else.
        if (description.IsEmpty)
        {
            whole[length++] = (byte)'}';
            return length;
        }

        whole[length++] = (byte)',';
        description.CopyTo(whole[length..]);
        length += description.Length;
        return length + WriteLimit(whole[length..]);
    }

    private int WriteLimit(Span<byte> rest)
    {
        if (decision.Limit is not { } limit)
        {
            "null}"u8.CopyTo(rest);
            return "null}"u8.Length;
        }

        var reset = Rfc3339.Format(now.AddSeconds(limit.ResetSeconds));
        Utf8.TryWrite(
            rest, CultureInfo.InvariantCulture, $"{{\"limit\":{limit.Limit},\"remaining\":{limit.Remaining},\"reset_at\":\"{reset}\"}}}}", out var length);
        return length;
    }

    // From the key's id up to the limit, which no text between can look like: quotes within text are escaped.
    private static byte[] Describe(ApiKey key, Secret secret)
    {
        var whole = JsonSerializer.SerializeToUtf8Bytes(
            new VerifiedKey(true, "", key.Id.Value, key.Name, key.Role.Name(), key.Owner, key.Permissions, key.Metadata, secret.ExpiresAt), JsonSetup.Options);
        var start = whole.AsSpan().IndexOf(FirstOfKey);
        return whole[start..(whole.AsSpan().IndexOf(AfterKey) + AfterKey.Length)];
    }
}

/// <summary>How the one body of <see cref="VerifyEndpoint"/> is read: generated when the service is compiled, by the rules of <see cref="JsonSetup"/>.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(VerifyKey))]
internal sealed partial class VerifyKeyJson : JsonSerializerContext
{
    public static JsonTypeInfo<VerifyKey> Type { get; } = new VerifyKeyJson(JsonSetup.Rules()).VerifyKey;
}
