using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mira.TestServers;

/// <summary>Which way bytes go.</summary>
public enum Flow
{
    ToServer,
    ToClient,
}

/// <summary>What becomes of bytes that a test looked at.</summary>
public enum Passage
{
    Pass,

    /// <summary>They arrive, and the connection ends with them.</summary>
    PassAndCut,

    /// <summary>They do not arrive, and the connection ends.</summary>
    Cut,
}

/// <summary>Stands between a client and a server on loopback, so that a test can break what is between them.</summary>
public sealed class TcpProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentDictionary<Link, bool> _links = new();
    private readonly Valve[] _valves = [new Valve(), new Valve()];
    private int _accepted;

    private TcpProxy(int target) => Target = target;

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How many connections are open now.</summary>
    public int Open => _links.Count;

    /// <summary>How many connections were made since the start.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>While true, a new connection is reset as soon as it is made; those that are open go on.</summary>
    public bool Refuses { get; set; }

    /// <summary>The loopback port that new connections are led to; those that are open stay where they are.</summary>
    public int Target { get; set; }

    /// <summary>
    /// How much later what the server sends arrives, in its order and without holding up what comes after it.
    /// </summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Looks at bytes before they go on. Several connections may call it at once.</summary>
    public Func<Flow, ReadOnlyMemory<byte>, Passage>? Inspect { get; set; }

    /// <param name="target">The loopback port of the server.</param>
    public static TcpProxy Start(int target)
    {
        var proxy = new TcpProxy(target);
        proxy._listener.Start();
        _ = Task.Run(proxy.AcceptAsync);
        return proxy;
    }

    /// <summary>Ends all connections at once, as a failing network does.</summary>
    public void Cut()
    {
        foreach (var link in _links.Keys)
            link.Reset();
    }

    /// <summary>
    /// From now on nothing goes this way, and nobody is told, until <see cref="Release"/>. New connections are made all
    /// the same.
    /// </summary>
    public void Hold(Flow flow) => _valves[(int)flow].Close();

    /// <summary>Both ways.</summary>
    public void Hold()
    {
        Hold(Flow.ToServer);
        Hold(Flow.ToClient);
    }

    /// <summary>Lets go on what was held, in its order.</summary>
    public void Release()
    {
        foreach (var valve in _valves)
            valve.Open();
    }

    public void Dispose()
    {
        if (_end.IsCancellationRequested)
            return;

        _end.Cancel();
        _listener.Dispose();
        Cut();
        Release();
    }

    private async Task AcceptAsync()
    {
        var ending = _end.Token;
        while (!ending.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptSocketAsync(ending);
                Interlocked.Increment(ref _accepted);
                _ = ServeAsync(client);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var link = new Link(client);
        if (Refuses)
        {
            link.Reset();
            return;
        }

        _links.TryAdd(link, true);
        try
        {
            await link.Server.ConnectAsync(IPAddress.Loopback, Target);
            await Task.WhenAny(PumpAsync(link, Flow.ToServer), PumpAsync(link, Flow.ToClient));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The server is not there.
            link.Reset();
        }
        finally
        {
            _links.TryRemove(link, out _);
        }
    }

    private async Task PumpAsync(Link link, Flow flow)
    {
        var (source, sink) = flow == Flow.ToServer ? (link.Client, link.Server) : (link.Server, link.Client);
        var buffer = new byte[16_384];
        var sent = Task.CompletedTask;
        try
        {
            while (await source.ReceiveAsync(buffer) is var count and > 0)
            {
                await _valves[(int)flow].PassAsync();
                var passage = Inspect?.Invoke(flow, buffer.AsMemory(0, count)) ?? Passage.Pass;
                if (passage == Passage.Pass && flow == Flow.ToClient && Delay > TimeSpan.Zero)
                    sent = SendLaterAsync(sink, buffer.AsMemory(0, count).ToArray(), sent, WaitAsync(Delay));
                else if (passage != Passage.Cut)
                    await SendAsync(sink, buffer.AsMemory(0, count));
                if (passage == Passage.Pass)
                    continue;

                // The server must still be able to read what was sent to it, so it is not reset.
                link.Client.Close(0);
                return;
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // One side is gone; so is the other, then.
            link.Reset();
        }
    }

    private static async Task SendLaterAsync(Socket sink, byte[] bytes, Task before, Task delay)
    {
        await delay;
        await before;
        try
        {
            await SendAsync(sink, bytes);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection ended meanwhile.
        }
    }

    private static async Task WaitAsync(TimeSpan time)
    {
        using var nobody = new SemaphoreSlim(0);
        await nobody.WaitAsync(time);
    }

    private static async Task SendAsync(Socket sink, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await sink.SendAsync(bytes)..];
    }

    private sealed class Link(Socket client) : IDisposable
    {
        public Socket Client { get; } = client;

        public Socket Server { get; } = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        public void Reset()
        {
            Client.Close(0);
            Server.Close(0);
        }

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
        }
    }

    private sealed class Valve
    {
        private volatile TaskCompletionSource? _closed;

        public void Close() => _closed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Open()
        {
            var closed = _closed;
            _closed = null;
            closed?.TrySetResult();
        }

        public Task PassAsync() => _closed?.Task ?? Task.CompletedTask;
    }
}
