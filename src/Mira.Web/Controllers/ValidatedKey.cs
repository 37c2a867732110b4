using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Mira.Application.Limits;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Web.Authentication;
using Mira.Web.Json;

namespace Mira.Web.Controllers;

/// <summary>The key presented, which is valid.</summary>
/// <param name="ExpiresAt">When the secret presented expires; null for never.</param>
/// <param name="Status">active, or rotating.</param>
/// <param name="RateLimit">Null while limits are off.</param>
public sealed record ValidatedKey(
    bool Valid, string KeyId, string Name, string Role, IReadOnlyList<string> Permissions, DateTimeOffset? ExpiresAt, string Status, RateLimitView? RateLimit);

/// <summary>Where a key stands within its limit.</summary>
/// <param name="Limit">Calls a minute.</param>
/// <param name="Remaining">Calls left now.</param>
/// <param name="ResetAt">When the oldest counted call leaves the window.</param>
public sealed record RateLimitView(int Limit, int Remaining, DateTimeOffset ResetAt)
{
    internal static RateLimitView Of(LimitState state, DateTimeOffset now) => new(state.Limit, state.Remaining, now.AddSeconds(state.ResetSeconds));
}

/// <summary>
/// Answers with a <see cref="ValidatedKey"/>. What it says of the key is serialised once for each caller; of a call's own there are only its
/// status and its limit.
/// </summary>
internal sealed class ValidatedAnswer(ApiKeyPrincipal caller, LimitState? state, DateTimeOffset now)
{
    private const int LongestTail = 256;

    private static ReadOnlySpan<byte> StatusName => "\"status\":"u8;

    public async Task WriteAsync(HttpContext context)
    {
        var head = caller.ValidatedHead ??= Head(caller);
        var whole = ArrayPool<byte>.Shared.Rent(head.Length + LongestTail);
        head.CopyTo(whole, 0);
        var length = head.Length + WriteTail(whole.AsSpan(head.Length));
        var response = context.Response;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = length;
        // One write: the server puts it behind the headers and sends both together.
        await response.Body.WriteAsync(whole.AsMemory(0, length));
        ArrayPool<byte>.Shared.Return(whole);
    }

    // Up to the status, which no text before it can look like: quotes within text are escaped.
    private static byte[] Head(ApiKeyPrincipal caller)
    {
        var key = caller.Key;
        var whole = JsonSerializer.SerializeToUtf8Bytes(
            new ValidatedKey(true, key.Id.Value, key.Name, key.Role.Name(), key.Permissions, caller.Secret.ExpiresAt, "", null), JsonSetup.Options);
        return whole[..(whole.AsSpan().LastIndexOf(StatusName) + StatusName.Length)];
    }

    private int WriteTail(Span<byte> tail)
    {
        var status = caller.Key.StatusAt(now).Name();
        Utf8.TryWrite(tail, CultureInfo.InvariantCulture, $"\"{status}\",\"rate_limit\":null}}", out var length);
        if (state is { } limit)
        {
            var reset = Rfc3339.Format(now.AddSeconds(limit.ResetSeconds));
            Utf8.TryWrite(
                tail, CultureInfo.InvariantCulture,
                $"\"{status}\",\"rate_limit\":{{\"limit\":{limit.Limit},\"remaining\":{limit.Remaining},\"reset_at\":\"{reset}\"}}}}", out length);
        }

        return length;
    }
}
