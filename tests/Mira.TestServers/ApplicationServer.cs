using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mira.TestServers;

/// <summary>
/// Stands for an application behind a proxy: takes whatever comes as HTTP/1.1, answers 200 and keeps what it was sent.
/// By hand, because a real server would refuse some of what a proxy lets through.
/// </summary>
public sealed class ApplicationServer : IAsyncDisposable
{
    private static readonly byte[] Continue = "HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray();
    private static readonly byte[] Answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nreached"u8.ToArray();

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<ReachedCall> _calls = [];
    private readonly Task _accepting;

    public ApplicationServer()
    {
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>All calls that have come so far, also those whose body did not.</summary>
    public IEnumerable<ReachedCall> Calls => _calls;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
            _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                await using var stream = client.GetStream();
                var received = new StringBuilder();
                int end;
                while ((end = received.ToString().IndexOf("\r\n\r\n", StringComparison.Ordinal)) < 0)
                {
                    if (!await ReceiveAsync(stream, received))
                        return;
                }

                var call = ReachedCall.Parse(received.ToString(0, end));
                _calls.Enqueue(call);
                received.Remove(0, end + 4);
                if (call["Expect"].Count > 0)
                    await stream.WriteAsync(Continue, _stop.Token);
                while (!call.HasAll(received.ToString()))
                {
                    if (!await ReceiveAsync(stream, received))
                        return;
                }

                call.Body = received.ToString();
                await stream.WriteAsync(call.Line.StartsWith("HEAD ", StringComparison.Ordinal) ? Answer.AsMemory(0, Answer.Length - 7) : Answer, _stop.Token);
                client.Client.Shutdown(SocketShutdown.Send);
                while (await ReceiveAsync(stream, received))
                {
                    // Closed by who asked, so that the answer is not lost.
                }
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
        {
            // The other side has gone, or the test is over.
        }
    }

    private async Task<bool> ReceiveAsync(NetworkStream stream, StringBuilder received)
    {
        var buffer = new byte[64 * 1024];
        var count = await stream.ReadAsync(buffer, _stop.Token);
        received.Append(Encoding.Latin1.GetString(buffer, 0, count));
        return count > 0;
    }
}

/// <summary>One call as the application got it.</summary>
/// <param name="Line">Method, target and version.</param>
public sealed record ReachedCall(string Line, IReadOnlyList<(string Name, string Value)> Headers)
{
    /// <summary>With its framing; empty until all of it is there.</summary>
    public string Body { get; internal set; } = "";

    /// <summary>The values of a header, by its name in any case.</summary>
    public IReadOnlyList<string> this[string name] =>
        [.. Headers.Where(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(header => header.Value)];

    internal static ReachedCall Parse(string head)
    {
        var lines = head.Split("\r\n");
        return new ReachedCall(lines[0], [.. lines[1..].Select(line => line.Split(':', 2)).Select(pair => (pair[0], pair.ElementAtOrDefault(1)?.Trim() ?? ""))]);
    }

    internal bool HasAll(string body) =>
        this["Transfer-Encoding"].Count > 0
            ? body.EndsWith("\r\n\r\n", StringComparison.Ordinal) && (body.StartsWith("0\r\n", StringComparison.Ordinal) || body.Contains("\r\n0\r\n", StringComparison.Ordinal))
            : this["Content-Length"] is not [var length] || body.Length >= int.Parse(length, System.Globalization.CultureInfo.InvariantCulture);
}
