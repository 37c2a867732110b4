using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Redis;
using Mira.Infrastructure.Tests.Ledger;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>
/// A real Redis that breaks in every way it can. Figures are printed; what is asserted is that nobody waited who need
/// not have.
/// </summary>
public class RedisConnectionTests
{
    private Messages<RedisConnection> _log = null!;

    [SetUp]
    public void SetUp() => _log = new Messages<RedisConnection>();

    [Test]
    public async Task Absent_at_the_start_it_costs_nothing_and_is_found_when_it_comes()
    {
        await using var server = RedisServer.Absent();
        await using var node = await RedisNode.StartAsync(server, log: _log);
        Assert.That(node.Limits.TakeAsync(KeyId.Generate(), 5, 1, 1, default).AsTask().IsCompletedSuccessfully, "somebody waited");
        await ExpectAsync(LogLevel.Warning, "is away");

        await server.StartAgainAsync();
        await ReportComingBackAsync(node);
        await ExpectAsync(LogLevel.Information, "is back");
    }

    [Test]
    public async Task Killed_under_load_no_call_fails_and_the_breaker_opens()
    {
        await using var server = await RedisServer.StartAsync();
        await using var node = await RedisNode.StartAsync(server, log: _log);
        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
        await LoadAsync(node, server.Kill, "killed");
        await ExpectAsync(LogLevel.Warning, "is away");
        ExpectNoWaiting(node);

        await server.StartAgainAsync();
        await ReportComingBackAsync(node);
        await ExpectAsync(LogLevel.Information, "is back");
    }

    [Test]
    public async Task Standing_still_it_is_waited_for_by_those_who_had_asked_and_by_nobody_after_them()
    {
        await using var server = await RedisServer.StartAsync();
        await using var node = await RedisNode.StartAsync(server, log: _log);
        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
        await LoadAsync(node, server.Pause, "stalled");
        await ExpectAsync(LogLevel.Warning, "is away");
        ExpectNoWaiting(node);

        server.Resume();
        await ReportComingBackAsync(node);
        await ExpectAsync(LogLevel.Information, "is back");
        Assert.That(_log.Lines, Has.Count.LessThan(10), "hundreds of calls, and a line for each way");
    }

    [Test]
    public async Task Full_it_still_answers_and_takes_no_writes()
    {
        await using var server = await RedisServer.StartAsync("--maxmemory-policy", "noeviction");
        await using var node = await RedisNode.StartAsync(server, log: _log);
        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
        await server.AskAsync("CONFIG", "SET", "maxmemory", "1");

        await ExpectOnlyReadsAsync(node, "OOM");
        await server.AskAsync("CONFIG", "SET", "maxmemory", "0");
        await ReportComingBackAsync(node);
    }

    [Test]
    public async Task A_replica_still_answers_and_takes_no_writes_until_it_becomes_the_primary()
    {
        await using var primary = await RedisServer.StartAsync();
        await using var server = await RedisServer.StartAsync("--replicaof", $"127.0.0.1 {primary.Port}");
        await using var node = await RedisNode.StartAsync(server, log: _log);
        await RedisNode.WaitForAsync(() => node.Connection.IsAvailable);

        await ExpectOnlyReadsAsync(node, "takes no writes");
        await server.AskAsync("REPLICAOF", "NO", "ONE");
        await ReportComingBackAsync(node);
    }

    [Test]
    public async Task With_a_wrong_password_it_is_away_and_the_log_does_not_hold_it()
    {
        await using var server = await RedisServer.StartAsync("--requirepass", "right");
        await using var node = await RedisNode.StartAsync(server, password: "hunter2", log: _log);

        await ExpectAsync(LogLevel.Warning, "is away");
        Assert.That(_log.Lines.Select(line => line.Text), Has.None.Contains("hunter2"));
        ExpectNoWaiting(node);
    }

    [Test]
    public async Task A_user_of_its_own_with_the_rights_it_needs_is_enough()
    {
        await using var server = await RedisServer.StartAsync(
            "--user", "mira", "on", ">secret", "~mira:*", "+@read", "+@write", "+@connection", "+@scripting", "+time", "+info", "--user", "default", "off");
        await using var node = await RedisNode.StartAsync(server, "mira", "secret", log: _log);

        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
        await RedisNode.WaitForAsync(() => node.Limits.TakeAsync(KeyId.Generate(), 5, 1, 1, default).AsTask().Result is { Tokens: 1 });
    }

    [Test]
    public async Task A_certificate_that_is_not_trusted_is_refused()
    {
        using var certificates = new TestCertificates();
        await using var server = await RedisServer.StartTlsAsync(certificates);
        await using var node = await RedisNode.StartAsync(server, tls: true, log: _log);

        await ExpectAsync(LogLevel.Warning, "is away");
        ExpectNoWaiting(node);
        Assert.That(node.Connection.IsAvailable, Is.False);
    }

    [Test]
    public async Task A_host_that_has_no_address_is_a_Redis_that_is_away()
    {
        await using var connection = new RedisConnection(new RedisEndpoint("redis.invalid", 6379, null, null, IsTls: false), 0, TimeProvider.System, _log);
        await connection.ProbeAsync();

        await ExpectAsync(LogLevel.Warning, "is away");
    }

    private async Task ExpectOnlyReadsAsync(RedisNode node, string cause)
    {
        // Either the call or the watch meets it first.
        await node.Limits.TakeAsync(KeyId.Generate(), 5, 1, 1, default);
        await ExpectAsync(LogLevel.Warning, cause);

        await RedisNode.WaitForAsync(() => node.Connection.IsAvailable);
        Assert.That(node.Limits.IsAvailable, Is.False);
        ExpectNoWaiting(node);
    }

    private static void ExpectNoWaiting(RedisNode node)
    {
        for (var i = 0; i < 1_000; i++)
        {
            var grant = node.Limits.TakeAsync(KeyId.Generate(), 5, 1, 1, default).AsTask();
            Assert.That(grant.IsCompletedSuccessfully, "somebody waited");
            Assert.That(grant.Result, Is.Null);
        }
    }

    private static async Task LoadAsync(RedisNode node, Action breaks, string what)
    {
        var key = KeyId.Generate();
        var before = await CallAsync(node, key, () => !node.Connection.IsWritable, 200);
        breaks();
        var after = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => CallAsync(node, key, () => false, 200)));
        // Either a command met it or the judge was first; then no command did, and none is counted.
        Assert.That(node.Connection.IsWritable, Is.False, "the breaker is open");
        TestContext.Out.WriteLine($"{what}: before {Line(before)}; after {Line([.. after.SelectMany(times => times)])}");
    }

    private static async Task<List<double>> CallAsync(RedisNode node, KeyId key, Func<bool> ends, int calls)
    {
        var times = new List<double>();
        for (var i = 0; i < calls && !ends(); i++)
        {
            var began = Stopwatch.GetTimestamp();
            await node.Limits.TakeAsync(key, 1_000_000, 1, 1, default);
            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        return times;
    }

    private static string Line(List<double> times) =>
        $"{times.Count} calls, {times.Count(time => time > 10)} over 10 ms, median {times.Order().ElementAt(times.Count / 2):F3} ms, longest {times.Max():F1} ms";

    private static async Task ReportComingBackAsync(RedisNode node)
    {
        var began = Stopwatch.GetTimestamp();
        await RedisNode.WaitForAsync(() => node.Connection.IsWritable);
        TestContext.Out.WriteLine($"back after {Stopwatch.GetElapsedTime(began).TotalMilliseconds:F0} ms");
    }

    private async Task ExpectAsync(LogLevel level, string text)
    {
        // On a machine that is busy enough, 50 ms may pass without any fault.
        var line = await _log.NextAsync();
        while (!line.Text.Contains(text, StringComparison.Ordinal))
            line = await _log.NextAsync();
        Assert.That(line.Level, Is.EqualTo(level), line.Text);
    }
}
