using System.Net.Sockets;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Observability;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>Connections that do nothing use up no files that the process needs.</summary>
internal sealed class DescriptorFaultTests
{
    private const int Files = 1_024;

    [Test]
    public async Task Idle_connections_of_strangers_make_room_and_a_known_caller_keeps_his()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.StartWithFiles(Files, folder);
        await mira.WaitUntilReadyAsync();
        var connections = 0;
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, cancellationToken) =>
            {
                Interlocked.Increment(ref connections);
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using var known = new HttpClient(handler) { BaseAddress = mira.Address };
        known.DefaultRequestHeaders.Authorization = new("Bearer", folder.Admin);
        Assert.That((await known.CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));

        List<TcpClient> idle = [];
        try
        {
            for (var one = 0; one < Files; one++)
            {
                idle.Add(new TcpClient());
                await idle[^1].ConnectAsync(mira.Address.Host, mira.Address.Port);
            }

            Assert.That((await known.CallAsync("POST", "/api/keys", """{"name":"still served","role":"viewer"}""")).Verdict, Is.EqualTo("201"));
            Assert.That(connections, Is.EqualTo(1), "the connection was kept");
            using var other = mira.Http();
            await MiraProcess.WaitForAsync(async () => (await Scrape.OfAsync(other))["connections_closed_for_room_total"] >= Files / 4);
            Assert.That(Directory.GetFiles($"/proc/{mira.Process.Id}/fd"), Has.Length.LessThan(Files));
            // The oldest went first.
            Assert.That(await IsClosedAsync(idle[0]));
            Assert.That(idle[^1].GetStream().DataAvailable, Is.False);
        }
        finally
        {
            idle.ForEach(one => one.Dispose());
        }
    }

    // It may be closed with a reset, which is no end of the stream to who reads it.
    private static async Task<bool> IsClosedAsync(TcpClient client)
    {
        try
        {
            return await client.GetStream().ReadAsync(new byte[1]) == 0;
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return true;
        }
    }
}
