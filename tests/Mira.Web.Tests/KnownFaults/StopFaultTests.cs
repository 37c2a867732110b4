using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>
/// A stop is over in time, whatever does not answer. What it takes is held to several times the promise, because the
/// machine may be busy.
/// </summary>
internal sealed class StopFaultTests
{
    /// <summary>Without a bound, each of these takes from ten seconds to for ever.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(6);

    [Test]
    public async Task A_collector_that_takes_calls_and_never_answers_holds_up_no_stop()
    {
        using var silent = new SilentServer();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://127.0.0.1:{silent.Port}"));
        await mira.WaitUntilReadyAsync();
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task A_reader_of_the_log_who_does_not_read_holds_up_neither_calls_nor_the_stop()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.StartUnread(folder, ("LOG_REQUESTS", "true"));
        await mira.WaitUntilReadyAsync();
        using var http = mira.Http(folder.Admin);
        // More than a pipe takes.
        for (var call = 0; call < 1_000; call++)
            Assert.That((await http.CallAsync("GET", "/api/auth/validate")).Verdict, Is.EqualTo("200"));
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task A_database_that_does_not_answer_any_more_holds_up_no_stop()
    {
        var server = await SharedPostgres.ServerAsync();
        using var proxy = TcpProxy.Start(server.Port);
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, SharedStore.SettingsFor(server.ConnectionString(await server.CreateDatabaseAsync(), proxy.Port)));
        await mira.WaitUntilReadyAsync();
        proxy.Hold();
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task An_external_checkpoint_store_that_never_answers_holds_up_no_stop()
    {
        using var silent = new SilentServer();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("MIRA_AUDIT_ANCHOR", $"http://127.0.0.1:{silent.Port}/keep"));
        await mira.WaitUntilReadyAsync();
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task A_Redis_that_takes_connections_and_never_answers_holds_up_no_stop()
    {
        using var silent = new SilentServer();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", $"{silent.Port}"));
        await mira.WaitUntilReadyAsync();
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task An_Airtable_that_takes_connections_and_never_answers_holds_up_no_stop_of_a_node_that_waits_for_it()
    {
        using var silent = new SilentServer();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(
            folder,
            ("MIRA_STORE", "airtable"),
            ("MIRA_PEPPER", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))),
            ("AIRTABLE_TOKEN", "pat00000000000000.silent"),
            ("AIRTABLE_BASE_ID", "app00000000000000"),
            ("AIRTABLE_URL", $"http://127.0.0.1:{silent.Port}"));
        await MiraProcess.WaitForAsync(() => Task.FromResult(mira.Process.HasExited || silent.IsCalled));
        Assert.That(mira.Process.HasExited, Is.False, mira.Error);
        await EndsInTimeAsync(mira);
    }

    [Test]
    public async Task A_pipe_that_nobody_reads_is_refused_as_a_checkpoint_file_and_does_not_hold_up_the_start()
    {
        using var folder = new TestFolder();
        var pipe = folder.At("pipe");
        using var made = Process.Start("mkfifo", [pipe]);
        await made.WaitForExitAsync();
        var (exitCode, _, error) = await MiraProcess.RunAsync(folder, [], ("MIRA_AUDIT_ANCHOR", pipe));
        Assert.That(exitCode, Is.EqualTo(1));
        Assert.That(error, Does.Contain("MIRA_AUDIT_ANCHOR: is a file that cannot be appended to"));
    }

    [Test]
    public async Task A_second_signal_after_the_drain_ends_the_process_at_once()
    {
        using var silent = new SilentServer();
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("MIRA_DRAIN_SECONDS", "300"), ("MIRA_AUDIT_ANCHOR", $"http://127.0.0.1:{silent.Port}/keep"));
        await mira.WaitUntilReadyAsync();
        mira.Signal("TERM");
        using var probe = mira.Http();
        await MiraProcess.WaitForAsync(async () => !(await probe.GetAsync("/health/ready")).IsSuccessStatusCode);
        await EndsInTimeAsync(mira);
    }

    private static async Task EndsInTimeAsync(MiraProcess mira)
    {
        var began = Stopwatch.StartNew();
        mira.Signal("TERM");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await mira.Process.WaitForExitAsync(patience.Token);
        Assert.That(began.Elapsed, Is.LessThan(Patience));
        Assert.That(mira.Process.ExitCode, Is.Zero);
    }

    /// <summary>Accepts connections, reads nothing and answers nothing.</summary>
    private sealed class SilentServer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public SilentServer() => _listener.Start(backlog: 64);

        public bool IsCalled => _listener.Pending();

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose() => _listener.Dispose();
    }
}
