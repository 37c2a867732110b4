using System.Net;
using System.Net.Sockets;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>Reads what is asked and hangs up.</summary>
internal sealed class ClosingServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Task _loop;
    private int _requests;

    public ClosingServer()
    {
        _listener.Start();
        _loop = ServeAsync();
    }

    public int Requests => _requests;

    public Uri Url => new($"http://{_listener.LocalEndpoint}/");

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _loop;
        _listener.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync();
                if (await client.GetStream().ReadAsync(new byte[65_536]) > 0)
                    _requests++;
            }
        }
        catch (SocketException)
        {
            // Stopped.
        }
    }
}
