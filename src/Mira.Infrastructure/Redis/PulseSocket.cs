using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Mira.Infrastructure.Redis;

/// <summary>
/// A connection that asks a Redis PING and counts the answers, all on the thread that uses it: neither the thread pool
/// nor a timer takes part, so that a busy process does not delay it.
/// </summary>
internal sealed class PulseSocket : IDisposable
{
    private static readonly byte[] Ping = "*1\r\n$4\r\nPING\r\n"u8.ToArray();

    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[4_096];

    private PulseSocket(Socket socket, Stream stream) => (_socket, _stream) = (socket, stream);

    /// <exception cref="SocketException">Nobody listens there, or nobody answers in time.</exception>
    /// <exception cref="IOException">The connection ended, or TLS could not be agreed.</exception>
    /// <exception cref="System.Security.Authentication.AuthenticationException">The certificate is not
    /// trusted.</exception>
    public static PulseSocket Connect(EndPoint server, RedisEndpoint identity, TimeSpan patience)
    {
        var (host, address) = Resolve(server);
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            Connect(socket, address, patience);
            socket.ReceiveTimeout = socket.SendTimeout = (int)patience.TotalMilliseconds;
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (identity.IsTls)
            {
                var tls = new SslStream(stream);
                tls.AuthenticateAsClient(host);
                stream = tls;
            }

            var connected = new PulseSocket(socket, stream);
            if (identity.Password is { } password)
                connected.Authenticate(identity.User, password);
            return connected;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <exception cref="IOException">The connection ended.</exception>
    public void Ask() => _stream.Write(Ping);

    /// <summary>How many answers have come since it was asked last. Waits for none.</summary>
    /// <exception cref="IOException">The connection ended.</exception>
    public int CountAnswers()
    {
        var answers = 0;
        while (_socket.Poll(0, SelectMode.SelectRead))
        {
            var count = _stream.Read(_buffer);
            if (count == 0)
                throw new IOException("The server ended the connection.");
            answers += _buffer.AsSpan(0, count).Count((byte)'\n');
        }

        return answers;
    }

    public void Dispose() => _stream.Dispose();

    private static (string Host, IPEndPoint Address) Resolve(EndPoint server) => server switch
    {
        IPEndPoint address => (address.Address.ToString(), address),
        DnsEndPoint name => (name.Host, new IPEndPoint(Dns.GetHostAddresses(name.Host)[0], name.Port)),
        _ => throw new IOException("The server has no address."),
    };

    // Without blocking, because a blocking connect knows no time limit.
    private static void Connect(Socket socket, IPEndPoint address, TimeSpan patience)
    {
        socket.Blocking = false;
        try
        {
            socket.Connect(address);
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            if (!socket.Poll(patience, SelectMode.SelectWrite))
                throw new SocketException((int)SocketError.TimedOut);
            if ((int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! is var error and not 0)
                throw new SocketException(error);
        }

        socket.Blocking = true;
    }

    private void Authenticate(string? user, string password)
    {
        string[] command = user is null ? ["AUTH", password] : ["AUTH", user, password];
        var text = $"*{command.Length}\r\n" + string.Concat(command.Select(part => $"${Encoding.UTF8.GetByteCount(part)}\r\n{part}\r\n"));
        _stream.Write(Encoding.UTF8.GetBytes(text));
        if (_stream.Read(_buffer) == 0 || _buffer[0] != (byte)'+')
            throw new IOException("The server does not accept the user or the password.");
    }
}
