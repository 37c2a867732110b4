using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Mira.Web.Problems;

namespace Mira.Web.Json;

/// <summary>
/// The body of a request, read whole where the server holds it. Its media type is looked at before anything is read,
/// its size while it comes. Disposing gives the bytes back to the server.
/// </summary>
internal readonly struct JsonBody : IDisposable
{
    /// <summary>Bytes of a body.</summary>
    public const int MaximumSize = 64 * 1024;

    public const string MergePatch = "application/merge-patch+json";

    private const string Json = "application/json";

    private static readonly string[] MediaTypes = [Json, MergePatch];

    private readonly PipeReader _reader;
    private readonly ReadOnlySequence<byte> _content;

    private JsonBody(PipeReader reader, ReadOnlySequence<byte> content) => (_reader, _content) = (reader, content);

    /// <summary>They hold until this is disposed.</summary>
    public ReadOnlySpan<byte> Bytes => _content.IsSingleSegment ? _content.FirstSpan : _content.ToArray();

    /// <exception cref="ProblemException">It is not JSON in UTF-8 without an encoding, longer than
    /// <see cref="MaximumSize"/>, or breaks off.</exception>
    public static async ValueTask<JsonBody> ReadAsync(HttpContext context)
    {
        var request = context.Request;
        var isAnnounced = request.ContentType is not null || request.ContentLength > 0;
        if (isAnnounced)
            DemandJson(context);
        if (request.ContentLength > MaximumSize)
            throw new ProblemException(ProblemKind.PayloadTooLarge);

        // Chunks without a type may turn out to be no body at all.
        var body = await ReadAllAsync(request.BodyReader, context.RequestAborted);
        if (isAnnounced || body._content.IsEmpty)
            return body;

        using (body)
            DemandJson(context);
        return body;
    }

    public void Dispose() => _reader.AdvanceTo(_content.End);

    private static async ValueTask<JsonBody> ReadAllAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (content, isWhole) = await ReadSomeAsync(reader, cancellationToken);
            if (content.Length > MaximumSize)
            {
                reader.AdvanceTo(content.End);
                throw new ProblemException(ProblemKind.PayloadTooLarge);
            }

            if (isWhole)
                return new JsonBody(reader, content);
            reader.AdvanceTo(content.Start, content.End);
        }
    }

    private static async ValueTask<(ReadOnlySequence<byte> Content, bool IsWhole)> ReadSomeAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        try
        {
            var read = await reader.ReadAsync(cancellationToken);
            return (read.Buffer, read.IsCompleted);
        }
        catch (IOException exception) when (exception is not BadHttpRequestException)
        {
            // Kestrel's answer to a chunk whose size is no number it can hold.
            throw new ProblemException(ProblemKind.MalformedRequest);
        }
    }

    private static void DemandJson(HttpContext context)
    {
        var request = context.Request;
        if (request.ContentType is Json && request.Headers.ContentEncoding.Count == 0)
            return;
        if (request.ContentLength == 0 && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
            return;

        var isJson = MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
                     && MediaTypes.Any(accepted => type.MediaType.Equals(accepted, StringComparison.OrdinalIgnoreCase))
                     && (HttpMethods.IsPatch(request.Method) || !type.MediaType.Equals(MergePatch, StringComparison.OrdinalIgnoreCase))
                     && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));
        if (!isJson || request.Headers.ContentEncoding.Count > 0)
            throw new ProblemException(ProblemKind.UnsupportedMediaType);
    }
}
