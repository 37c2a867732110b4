using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;

namespace Mira.TestServers;

/// <summary>
/// Stands in for a collector: takes OTLP over HTTP in protobuf on a free loopback port, and reads so much of it that
/// spans and metrics are known by name.
/// </summary>
public sealed class OtlpReceiver : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly ConcurrentQueue<byte[]> _bodies = new();
    private readonly ConcurrentQueue<ReceivedSpan> _spans = new();
    private readonly ConcurrentQueue<string> _metrics = new();

    private OtlpReceiver(int port)
    {
        Address = new Uri($"http://127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}");
        _listener.Prefixes.Add(Address.ToString());
    }

    public Uri Address { get; }

    public IReadOnlyCollection<ReceivedSpan> Spans => [.. _spans];

    public IReadOnlySet<string> Metrics => _metrics.ToHashSet();

    /// <summary>All that came, as it came.</summary>
    public IReadOnlyCollection<byte[]> Bodies => [.. _bodies];

    public static OtlpReceiver Start()
    {
        var receiver = new OtlpReceiver(FreePort.Find());
        receiver._listener.Start();
        _ = receiver.ReceiveAsync();
        return receiver;
    }

    public void Dispose() => _listener.Close();

    private async Task ReceiveAsync()
    {
        while (true)
        {
            HttpListenerContext call;
            try
            {
                call = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                // Closed.
                return;
            }

            using var body = new MemoryStream();
            await call.Request.InputStream.CopyToAsync(body);
            _bodies.Enqueue(body.ToArray());
            Read(call.Request.Url!.AbsolutePath, new Message(body.ToArray()));
            call.Response.ContentType = "application/x-protobuf";
            call.Response.Close();
        }
    }

    // The path of fields in ExportTraceServiceRequest and ExportMetricsServiceRequest: resource → scope → span or
    // metric.
    private void Read(string path, Message request)
    {
        foreach (var item in request.Inner(1).SelectMany(resource => resource.Inner(2)).SelectMany(scope => scope.Inner(2)))
        {
            if (path == "/v1/traces")
                _spans.Enqueue(new ReceivedSpan(Convert.ToHexStringLower(item.Bytes(1)), item.Text(5), Attributes(item)));
            else if (path == "/v1/metrics")
                _metrics.Enqueue(item.Text(1));
        }
    }

    private static Dictionary<string, string> Attributes(Message span) =>
        span.Inner(9).ToDictionary(pair => pair.Text(1), pair => pair.Inner(2).Select(value => value.Text(1)).FirstOrDefault("") is { Length: > 0 } text ? text : $"{pair.Inner(2).First().Number(3)}");

    /// <summary>A protobuf message: its fields by number, as far as they are lengths or varints.</summary>
    private sealed class Message
    {
        private readonly List<(int Field, byte[] Value, ulong Number)> _fields = [];

        public Message(ReadOnlySpan<byte> bytes)
        {
            while (bytes.Length > 0)
            {
                var tag = Varint(ref bytes);
                var (field, length) = ((int)(tag >> 3), 0);
                switch (tag & 7)
                {
                    case 0:
                        _fields.Add((field, [], Varint(ref bytes)));
                        break;
                    case 1:
                        length = 8;
                        break;
                    case 2:
                        length = (int)Varint(ref bytes);
                        _fields.Add((field, bytes[..length].ToArray(), 0));
                        break;
                    default:
                        length = 4;
                        break;
                }

                bytes = bytes[length..];
            }
        }

        public IEnumerable<Message> Inner(int field) => _fields.Where(one => one.Field == field).Select(one => new Message(one.Value));

        public byte[] Bytes(int field) => _fields.Where(one => one.Field == field).Select(one => one.Value).FirstOrDefault([]);

        public string Text(int field) => Encoding.UTF8.GetString(Bytes(field));

        public ulong Number(int field) => _fields.Where(one => one.Field == field).Select(one => one.Number).FirstOrDefault();

        private static ulong Varint(ref ReadOnlySpan<byte> bytes)
        {
            ulong value = 0;
            for (var shift = 0; ; shift += 7)
            {
                var next = bytes[0];
                bytes = bytes[1..];
                value |= (ulong)(next & 0x7f) << shift;
                if (next < 0x80)
                    return value;
            }
        }
    }
}

/// <param name="TraceId">Lower-case hex.</param>
public sealed record ReceivedSpan(string TraceId, string Name, IReadOnlyDictionary<string, string> Attributes);
