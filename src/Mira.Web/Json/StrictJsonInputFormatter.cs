using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Mvc.Formatters;
using Microsoft.Net.Http.Headers;
using Mira.Web.Problems;

namespace Mira.Web.Json;

/// <summary>
/// Reads a body and refuses what the platform would let pass: another encoding, a property twice, an unknown one, a number in a string. The bytes
/// stay with the request, because an idempotency key stands for exactly them.
/// </summary>
public sealed class StrictJsonInputFormatter(JsonSerializerOptions options) : IInputFormatter
{
    /// <summary>Bytes of a body.</summary>
    public const int MaximumSize = 64 * 1024;

    /// <summary>Bytes of a body on the wire, where Kestrel stops reading: it counts the frames of chunks too, which at one byte each are five more.</summary>
    public const int MaximumSizeFramed = 8 * MaximumSize;

    private static readonly string[] MediaTypes = ["application/json", MergePatch];

    public const string MergePatch = "application/merge-patch+json";

    public bool CanRead(InputFormatterContext context) => true;

    public async Task<InputFormatterResult> ReadAsync(InputFormatterContext context)
    {
        var request = context.HttpContext.Request;
        var canHaveBody = context.HttpContext.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody ?? true;
        var isAnnounced = request.ContentType is not null || request.ContentLength > 0;
        if (isAnnounced)
            DemandJson(request, canHaveBody);

        // Chunks without a type may turn out to be no body at all.
        var body = await ReadAllAsync(context.HttpContext);
        if (!isAnnounced && body.Length > 0)
            DemandJson(request, canHaveBody);
        context.HttpContext.Features.Set(new RequestBody(body));
        // Where a body is optional, null is none: that is what a typed client sends for it.
        if (body.Length == 0 || (context.TreatEmptyInputAsDefaultValue && body.AsSpan().SequenceEqual("null"u8)))
        {
            return context.TreatEmptyInputAsDefaultValue
                ? InputFormatterResult.NoValue()
                : throw Malformed("A body is needed.");
        }

        StrictJson.Demand(body, options.GetTypeInfo(context.ModelType));
        return InputFormatterResult.Success(Deserialize(body, context.ModelType));
    }

    private object Deserialize(byte[] body, Type type)
    {
        try
        {
            return JsonSerializer.Deserialize(body, type, options) ?? throw Malformed("The body must be a JSON object.");
        }
        catch (JsonException exception)
        {
            var field = exception.Path?.TrimStart('$', '.');
            throw string.IsNullOrEmpty(field)
                ? Malformed("The body must be a JSON object.")
                : new ProblemException(new Problem(
                    ProblemKind.MalformedJson, $"The value of {field} has the wrong type.",
                    new Dictionary<string, string[]> { [field] = ["has the wrong type"] }));
        }
    }

    private static void DemandJson(HttpRequest request, bool canHaveBody)
    {
        if (!canHaveBody && request.ContentLength == 0)
            return;

        var isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
                     && MediaTypes.Any(accepted => type.MediaType.Equals(accepted, StringComparison.OrdinalIgnoreCase))
                     && (HttpMethods.IsPatch(request.Method) || !type.MediaType.Equals(MergePatch, StringComparison.OrdinalIgnoreCase))
                     && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));
        if (!isJson || request.Headers.ContentEncoding.Count > 0)
            throw new ProblemException(ProblemKind.UnsupportedMediaType);
    }

    private static async Task<byte[]> ReadAllAsync(HttpContext context)
    {
        if (context.Request.ContentLength > MaximumSize)
            throw new ProblemException(ProblemKind.PayloadTooLarge);

        using var body = new MemoryStream();
        var buffer = new byte[4 * 1024];
        while (await ReadSomeAsync(context, buffer) is > 0 and var count)
        {
            body.Write(buffer, 0, count);
            if (body.Length > MaximumSize)
                throw new ProblemException(ProblemKind.PayloadTooLarge);
        }

        return body.ToArray();
    }

    private static async ValueTask<int> ReadSomeAsync(HttpContext context, byte[] buffer)
    {
        try
        {
            return await context.Request.Body.ReadAsync(buffer, context.RequestAborted);
        }
        catch (IOException exception) when (exception is not BadHttpRequestException)
        {
            // Kestrel's answer to a chunk whose size is no number it can hold.
            throw new ProblemException(ProblemKind.MalformedRequest);
        }
    }

    private static ProblemException Malformed(string detail) => new(new Problem(ProblemKind.MalformedJson, detail));
}

/// <summary>The bytes of a request's body, as they came.</summary>
public sealed record RequestBody(ReadOnlyMemory<byte> Bytes);
