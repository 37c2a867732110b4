using System.Net;
using System.Net.Sockets;

namespace Mira.TestServers;

/// <summary>A loopback port nobody listens on now.</summary>
public static class FreePort
{
    public static int Find()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
