using System.Globalization;
using System.Text.RegularExpressions;
using Mira.Application.Limits;
using Mira.Domain.Tokens;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Redis;

public class RedisLimitsTests
{
    private static readonly TimeSpan Life = TimeSpan.FromMilliseconds(50);

    private RedisServer _server = null!;
    private RedisNode _node = null!;

    [OneTimeSetUp]
    public async Task StartServer()
    {
        _server = await RedisServer.StartAsync();
        _node = await RedisNode.ConnectAsync(_server);
    }

    [OneTimeTearDown]
    public async Task StopServer()
    {
        await _node.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task Tokens_are_taken_until_none_is_left()
    {
        var key = KeyId.Generate();
        Assert.That(await TakeAsync(key, 3, 1, 2), Is.EqualTo((2, 1)));
        Assert.That(await TakeAsync(key, 3, 1, 2), Is.EqualTo((1, 0)));
        Assert.That(await TakeAsync(key, 3, 1, 1), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task Less_than_what_is_needed_is_not_taken()
    {
        var key = KeyId.Generate();
        Assert.That(await TakeAsync(key, 10, 8, 8), Is.EqualTo((8, 2)));
        Assert.That(await TakeAsync(key, 10, 3, 3), Is.EqualTo((0, 2)));
        Assert.That(await TakeAsync(key, 10, 2, 3), Is.EqualTo((2, 0)));
    }

    [Test]
    public async Task What_is_asked_at_once_shares_round_trips_and_each_key_gets_its_own()
    {
        await _server.AskAsync("CONFIG", "RESETSTAT");
        var keys = Enumerable.Range(0, 200).Select(_ => KeyId.Generate()).ToArray();

        var grants = await Task.WhenAll(keys.Select((key, index) => _node.Limits.TakeAsync(key, 1_000, 1, index + 1, Life).AsTask()));

        Assert.That(grants.Select(grant => grant!.Value.Tokens), Is.EqualTo(Enumerable.Range(1, 200)));
        Assert.That(grants.Select(grant => grant!.Value.Remaining), Is.EqualTo(Enumerable.Range(1, 200).Select(taken => 1_000 - taken)));
        var calls = Regex.Match(await _server.AskAsync("INFO", "commandstats"), @"cmdstat_eval(?:sha)?:calls=(\d+)").Groups[1].Value;
        Assert.That(int.Parse(calls, CultureInfo.InvariantCulture), Is.LessThan(20));
    }

    [Test]
    public async Task More_calls_at_once_than_are_sent_together_all_get_their_own_tokens()
    {
        const int many = 4 * 8 * 32;
        var keys = Enumerable.Range(0, many).Select(_ => KeyId.Generate()).ToArray();

        var grants = await Task.WhenAll(keys.Select((key, index) => _node.Limits.TakeAsync(key, 2_000, 1, index + 1, Life).AsTask()));

        Assert.That(grants.Select(grant => grant!.Value.Tokens), Is.EqualTo(Enumerable.Range(1, many)));
        Assert.That(await TakeAsync(KeyId.Generate(), 10, 1, 1), Is.EqualTo((1, 9)), "and the next one is served as before");
    }

    [Test]
    public async Task A_window_that_cannot_be_read_is_no_answer_for_its_key_and_no_other_keys_concern()
    {
        var (list, number, text, good) = (KeyId.Generate(), KeyId.Generate(), KeyId.Generate(), KeyId.Generate());
        await _server.AskAsync("RPUSH", $"mira:limit:{list}", "a");
        await _server.AskAsync("SET", $"mira:limit:{number}", "7");
        await _server.AskAsync("SET", $"mira:limit:{text}", "nothing of ours");

        KeyId[] keys = [good, list, number, text, KeyId.Generate()];
        var grants = await Task.WhenAll(keys.Select(key => _node.Limits.TakeAsync(key, 10, 1, 1, Life).AsTask()));

        Assert.That(grants.Select(grant => grant?.Tokens), Is.EqualTo(new int?[] { 1, null, null, null, 1 }));
        Assert.That(_node.Limits.IsAvailable, Is.True);
    }

    [Test]
    public async Task Asking_takes_nothing_and_makes_no_window()
    {
        var key = KeyId.Generate();
        var grant = await _node.Limits.TakeAsync(key, 10, 0, 0, Life);

        Assert.That(grant, Is.EqualTo(new Grant(0, 10, TimeSpan.Zero)));
        Assert.That(await _server.AskAsync("EXISTS", $"mira:limit:{key}"), Is.EqualTo(":0\r\n"));
    }

    [Test]
    public async Task A_refused_call_makes_no_window()
    {
        var key = KeyId.Generate();
        Assert.That(await TakeAsync(key, 10, 11, 11), Is.EqualTo((0, 10)));
        Assert.That(await _server.AskAsync("EXISTS", $"mira:limit:{key}"), Is.EqualTo(":0\r\n"));
    }

    [Test]
    public async Task A_changed_limit_counts_at_once()
    {
        var key = KeyId.Generate();
        await TakeAsync(key, 10, 5, 5);
        Assert.That(await TakeAsync(key, 4, 1, 1), Is.EqualTo((0, 0)));
        Assert.That(await TakeAsync(key, 7, 1, 9), Is.EqualTo((2, 0)));
    }

    [Test]
    public async Task Two_keys_have_two_windows()
    {
        await TakeAsync(KeyId.Generate(), 1, 1, 1);
        Assert.That(await TakeAsync(KeyId.Generate(), 1, 1, 1), Is.EqualTo((1, 0)));
    }

    [Test]
    public async Task It_says_when_the_oldest_leave_and_the_server_forgets_the_window_then()
    {
        var key = KeyId.Generate();
        var first = await _node.Limits.TakeAsync(key, 10, 1, 1, Life);
        var second = await _node.Limits.TakeAsync(key, 10, 1, 1, Life);
        var left = int.Parse((await _server.AskAsync("PTTL", $"mira:limit:{key}"))[1..^2], System.Globalization.CultureInfo.InvariantCulture);

        Assert.That(first!.Value.ResetIn, Is.EqualTo(TimeSpan.FromSeconds(60.05)));
        Assert.That(second!.Value.ResetIn, Is.GreaterThan(TimeSpan.FromSeconds(0)).And.LessThanOrEqualTo(TimeSpan.FromSeconds(60.05)));
        Assert.That(left, Is.InRange(1, 60_050));
    }

    [Test]
    public async Task However_many_nodes_call_at_once_the_limit_is_reached_exactly()
    {
        await using var other = await RedisNode.ConnectAsync(_server);
        var key = KeyId.Generate();
        var taken = 0;
        foreach (var _ in Enumerable.Range(0, 20))
        {
            var grants = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => (i % 2 == 0 ? _node : other).Limits.TakeAsync(key, 250, 1, 1, Life).AsTask()));
            taken += grants.Sum(grant => grant?.Tokens ?? 0);
        }

        var left = await _node.Limits.TakeAsync(key, 1_000_000, 0, 0, Life);
        Assert.That(1_000_000 - left!.Value.Remaining, Is.EqualTo(250));
        // A token whose answer came too late is never used, and counts all the same.
        Assert.That(taken, Is.LessThanOrEqualTo(250));
    }

    [Test]
    public async Task A_server_that_forgot_the_script_is_told_it_again()
    {
        var key = KeyId.Generate();
        await TakeAsync(key, 5, 1, 1);
        await _server.AskAsync("SCRIPT", "FLUSH");

        Assert.That(await TakeAsync(key, 5, 1, 1), Is.EqualTo((1, 3)));
        Assert.That(await TakeAsync(key, 5, 1, 1), Is.EqualTo((1, 2)));
    }

    [Test]
    public async Task The_script_travels_once_and_its_hash_from_then_on()
    {
        await TakeAsync(KeyId.Generate(), 5, 1, 1);
        await _server.AskAsync("CONFIG", "RESETSTAT");
        for (var i = 0; i < 10; i++)
            await TakeAsync(KeyId.Generate(), 5, 1, 1);

        var commands = await _server.AskAsync("INFO", "commandstats");
        Assert.That(commands, Does.Contain("cmdstat_evalsha:calls=10,"));
        Assert.That(commands, Does.Not.Contain("cmdstat_eval:"));
    }

    [Test]
    public async Task One_damaged_window_keeps_nobody_from_the_others()
    {
        var damaged = KeyId.Generate();
        await _server.AskAsync("LPUSH", $"mira:limit:{damaged}", "x");
        var trips = _node.Connection.Trips;

        Assert.That(await _node.Limits.TakeAsync(damaged, 5, 1, 1, Life), Is.Null);
        Assert.That(_node.Connection.Trips, Is.EqualTo(trips));
        Assert.That(await TakeAsync(KeyId.Generate(), 5, 1, 1), Is.EqualTo((1, 4)));
    }

    private async Task<(int Tokens, int Remaining)> TakeAsync(KeyId key, int limit, int needed, int wanted)
    {
        var grant = await _node.Limits.TakeAsync(key, limit, needed, wanted, Life);
        Assert.That(grant, Is.Not.Null);
        return (grant!.Value.Tokens, grant.Value.Remaining);
    }
}
