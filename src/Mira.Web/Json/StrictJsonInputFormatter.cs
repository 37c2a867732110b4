using System.Text.Json;
using Microsoft.AspNetCore.Mvc.Formatters;

namespace Mira.Web.Json;

/// <summary>
/// Reads a body and refuses what the platform would let pass: another encoding, a property twice, an unknown one, a
/// number in a string. The bytes stay with the request, because an idempotency key stands for exactly them.
/// </summary>
public sealed class StrictJsonInputFormatter(JsonSerializerOptions options) : IInputFormatter
{
    /// <summary>
    /// Bytes of a body on the wire, where Kestrel stops reading: it counts the frames of chunks too, which at one byte
    /// each are five more.
    /// </summary>
    public const int MaximumSizeFramed = 8 * JsonBody.MaximumSize;

    public const string MergePatch = JsonBody.MergePatch;

    public bool CanRead(InputFormatterContext context) => true;

    public async Task<InputFormatterResult> ReadAsync(InputFormatterContext context)
    {
        var bytes = await ReadBytesAsync(context.HttpContext);
        context.HttpContext.Features.Set(new RequestBody(bytes));
        // Where a body is optional, null is none: that is what a typed client sends for it.
        return context.TreatEmptyInputAsDefaultValue && (bytes.Length == 0 || bytes.AsSpan().SequenceEqual("null"u8))
            ? InputFormatterResult.NoValue()
            : InputFormatterResult.Success(StrictJson.Read(bytes, options.GetTypeInfo(context.ModelType)));
    }

    private static async Task<byte[]> ReadBytesAsync(HttpContext context)
    {
        using var body = await JsonBody.ReadAsync(context);
        return body.Bytes.ToArray();
    }
}

/// <summary>The bytes of a request's body, as they came.</summary>
public sealed record RequestBody(ReadOnlyMemory<byte> Bytes);
