using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>HTTP/1.1 by hand, for requests that no client would send.</summary>
internal sealed class RawHttp : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TcpClient _socket = new();
    private readonly CancellationTokenSource _patience = new(Patience);
    private readonly List<byte> _received = [];
    private NetworkStream _stream = null!;

    private RawHttp()
    {
    }

    public static async Task<RawHttp> ConnectAsync(Uri address)
    {
        var connection = new RawHttp();
        await connection._socket.ConnectAsync(address.Host, address.Port, connection._patience.Token);
        connection._stream = connection._socket.GetStream();
        return connection;
    }

    /// <summary>Sends one request on a connection of its own.</summary>
    /// <param name="head">Request line and headers, without the empty line.</param>
    public static async Task<WireAnswer> SendAsync(Uri address, IEnumerable<string> head, ReadOnlyMemory<byte> body = default)
    {
        using var connection = await ConnectAsync(address);
        var lines = head.ToList();
        await connection.WriteAsync(Head(lines));
        await connection.WriteAsync(body);
        var answer = await connection.ReadAsync();
        // What the server's parser refuses has no answer of the service's; chunks are kept as they came.
        if (answer.Header("X-Correlation-ID") is not null && answer.Header("Content-Length") is not null && lines[0].Split(' ') is [var method, ['/', ..] target, _])
            DescribedAnswers.Hold(method, target, answer.Status, answer.Header("Content-Type"), answer.Body);
        return answer;
    }

    public static byte[] Head(IEnumerable<string> lines) =>
        Encoding.Latin1.GetBytes(string.Concat(lines.Append("").Select(line => line + "\r\n")));

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await _stream.WriteAsync(bytes, _patience.Token);
        }
        catch (IOException)
        {
            // The server has answered and closed already.
        }
    }

    public void EndSending()
    {
        try
        {
            _socket.Client.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // Closed by the other side.
        }
    }

    /// <summary>Reads one answer; status 0 when the connection ends without one.</summary>
    /// <exception cref="OperationCanceledException">Nothing came for this long.</exception>
    public async Task<WireAnswer> ReadAsync(TimeSpan? patience = null)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_patience.Token);
        if (patience is { } given)
            limit.CancelAfter(given);

        int end;
        while ((end = Text().IndexOf("\r\n\r\n", StringComparison.Ordinal)) < 0)
        {
            if (!await ReceiveAsync(limit.Token))
                return new WireAnswer(0, [], Text());
        }

        var lines = Text()[..end].Split("\r\n");
        var headers = lines[1..].Select(line => line.Split(": ", 2)).Select(pair => (pair[0], pair.ElementAtOrDefault(1) ?? "")).ToList();
        var answer = new WireAnswer(int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture), headers, "");
        _received.RemoveRange(0, end + 4);
        var length = answer.Header("Content-Length") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : (int?)null;
        while (length is null ? answer.Header("Transfer-Encoding") is null || !Text().EndsWith("0\r\n\r\n", StringComparison.Ordinal) : _received.Count < length)
        {
            if (!await ReceiveAsync(limit.Token))
                break;
        }

        var whole = Math.Min(length ?? _received.Count, _received.Count);
        var body = Encoding.UTF8.GetString([.. _received[..whole]]);
        _received.RemoveRange(0, whole);
        return answer with { Body = body };
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _socket.Dispose();
        _patience.Dispose();
    }

    private string Text() => Encoding.Latin1.GetString([.. _received]);

    private async Task<bool> ReceiveAsync(CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            var count = await _stream.ReadAsync(buffer, cancellationToken);
            _received.AddRange(buffer.AsSpan(0, count));
            return count > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
