using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>The end of a process: readiness first, then the last call, then the door.</summary>
internal sealed class ShutdownTests
{
    private const int Clients = 4;

    [Test]
    public async Task Calls_are_served_while_it_drains_and_none_is_dropped()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("MIRA_DRAIN_SECONDS", "3"));
        await mira.WaitUntilReadyAsync();
        var load = new Load(mira, folder.Admin);
        await load.UntilServedAsync(200);

        var drained = Stopwatch.StartNew();
        mira.Signal("TERM");
        using var probe = mira.Http();
        await MiraProcess.WaitForAsync(async () => await ReadinessAsync(probe) is not HttpStatusCode.OK);
        Assert.That(await ReadinessAsync(probe), Is.EqualTo(HttpStatusCode.ServiceUnavailable));
        Assert.That((await probe.GetAsync("/health/live")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        var servedBefore = load.Served;
        await load.UntilServedAsync(servedBefore + 50);

        await mira.Process.WaitForExitAsync();
        Assert.That(drained.Elapsed, Is.GreaterThan(TimeSpan.FromSeconds(3)));
        Assert.That(mira.Process.ExitCode, Is.Zero);
        Assert.That(await load.EndAsync(), Is.Empty);
    }

    [Test]
    public async Task An_interrupt_does_not_wait()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("MIRA_DRAIN_SECONDS", "300"));
        await mira.WaitUntilReadyAsync();
        mira.Signal("TERM");
        using var probe = mira.Http();
        await MiraProcess.WaitForAsync(async () => await ReadinessAsync(probe) is not HttpStatusCode.OK);
        Assert.That(mira.Process.HasExited, Is.False, "it drains");

        mira.Signal("INT");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await mira.Process.WaitForExitAsync(patience.Token);
        Assert.That(mira.Process.ExitCode, Is.Zero);
    }

    private static async Task<HttpStatusCode?> ReadinessAsync(HttpClient probe)
    {
        using var answer = await probe.GetAsync("/health/ready");
        return answer.StatusCode;
    }

    /// <summary>Clients that call on and on over connections they keep, until nobody listens any more.</summary>
    private sealed class Load
    {
        private readonly List<string> _failures = [];
        private readonly Task[] _clients;
        private int _served;

        public Load(MiraProcess mira, string token) =>
            _clients = [.. Enumerable.Range(0, Clients).Select(_ => Task.Run(() => CallAsync(mira, token)))];

        public int Served => Volatile.Read(ref _served);

        public Task UntilServedAsync(int count) => MiraProcess.WaitForAsync(() => Task.FromResult(Served >= count || _clients.All(client => client.IsCompleted)));

        public async Task<IReadOnlyList<string>> EndAsync()
        {
            await Task.WhenAll(_clients);
            return _failures;
        }

        private async Task CallAsync(MiraProcess mira, string token)
        {
            using var client = mira.Http(token);
            while (true)
            {
                try
                {
                    using var answer = await client.GetAsync("/api/auth/validate");
                    if (answer.StatusCode == HttpStatusCode.OK)
                        Interlocked.Increment(ref _served);
                    else
                        Note($"{answer.StatusCode}");
                }
                catch (HttpRequestException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
                {
                    return;
                }
                catch (HttpRequestException exception)
                {
                    Note(exception.ToString());
                    return;
                }
            }
        }

        private void Note(string failure)
        {
            lock (_failures)
                _failures.Add(failure);
        }
    }
}
