using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Mira.Application.Limits;
using Mira.Domain.Ledger;
using Mira.Web.Json;

namespace Mira.Web.Endpoints;

/// <summary>
/// Writes the two responses that services ask for on every request. The properties of the key are serialised once for
/// each secret; each call adds only its own: the decision and the limit.
/// </summary>
internal static class KeyJson
{
    /// <summary>Room for all that a call adds.</summary>
    private const int LongestRest = 256;

    /// <summary>The properties of a record as JSON, without the braces around them.</summary>
    public static byte[] PropertiesOf<T>(T record) => JsonSerializer.SerializeToUtf8Bytes(record, JsonSetup.Options)[1..^1];

    /// <summary>Writes one JSON object.</summary>
    /// <param name="before">Its first properties, with the opening brace.</param>
    /// <param name="properties">From <see cref="PropertiesOf{T}"/>; with nothing in it, the object ends after
    /// <paramref name="before"/>.</param>
    /// <param name="after">What follows <paramref name="properties"/> and comes before the limit.</param>
    /// <param name="limit">Null while limits are off.</param>
    public static async Task WriteAsync(
        HttpContext context, string before, byte[] properties, string after, LimitState? limit, DateTimeOffset now)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(properties.Length + LongestRest);
        var length = Write(buffer, before, properties, after, limit, now);
        var response = context.Response;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = length;
        // One write: the server puts it behind the headers and sends both together.
        await response.Body.WriteAsync(buffer.AsMemory(0, length));
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static int Write(Span<byte> buffer, string before, ReadOnlySpan<byte> properties, string after, LimitState? limit, DateTimeOffset now)
    {
        if (properties.IsEmpty)
        {
            Utf8.TryWrite(buffer, CultureInfo.InvariantCulture, $"{before}}}", out var length);
            return length;
        }

        Utf8.TryWrite(buffer, CultureInfo.InvariantCulture, $"{before},", out var at);
        properties.CopyTo(buffer[at..]);
        at += properties.Length;
        return at + WriteLimit(buffer[at..], after, limit, now);
    }

    private static int WriteLimit(Span<byte> rest, string after, LimitState? limit, DateTimeOffset now)
    {
        int length;
        if (limit is { } state)
        {
            var reset = Rfc3339.Format(now.AddSeconds(state.ResetSeconds));
            Utf8.TryWrite(
                rest,
                CultureInfo.InvariantCulture,
                $"{after},\"rate_limit\":{{\"limit\":{state.Limit},\"remaining\":{state.Remaining},\"reset_at\":\"{reset}\"}}}}",
                out length);
        }
        else
        {
            Utf8.TryWrite(rest, CultureInfo.InvariantCulture, $"{after},\"rate_limit\":null}}", out length);
        }

        return length;
    }
}
