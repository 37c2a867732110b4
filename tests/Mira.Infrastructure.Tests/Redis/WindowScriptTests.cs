using Mira.Infrastructure.Redis;
using Mira.TestServers;
using StackExchange.Redis;

namespace Mira.Infrastructure.Tests.Redis;

/// <summary>
/// The script on a real server, with a clock that the test turns: only the two lines that read the clock are others.
/// </summary>
public class WindowScriptTests
{
    private const long Second = 1_000_000;
    private const string ClockLines =
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        """;

    private static readonly string Script = RedisLimits.Script.Replace(ClockLines, "local now = tonumber(ARGV[9])", StringComparison.Ordinal);

    private RedisServer _server = null!;
    private RedisNode _node = null!;
    private IDatabase _redis = null!;

    [OneTimeSetUp]
    public async Task StartServer()
    {
        _server = await RedisServer.StartAsync();
        _node = await RedisNode.ConnectAsync(_server);
        _redis = _node.Connection.Multiplexer.GetDatabase();
    }

    [OneTimeTearDown]
    public async Task StopServer()
    {
        await _node.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public void The_clock_of_the_server_is_read_in_these_two_lines_alone()
    {
        Assert.That(Script, Is.Not.EqualTo(RedisLimits.Script));
        Assert.That(Script, Does.Not.Contain("TIME"));
    }

    [Test]
    public async Task A_token_leaves_after_sixty_seconds_and_its_life()
    {
        var start = 1_900_000_000 * Second;
        Assert.That(await TakeAsync("leaves", 1, 1, 1, 50_000, start), Is.EqualTo((1, 0, 60_050_000)));
        Assert.That(await TakeAsync("leaves", 1, 1, 1, 50_000, start + 60_049_999), Is.EqualTo((0, 0, 1)));
        Assert.That(await TakeAsync("leaves", 1, 1, 1, 50_000, start + 60_050_000), Is.EqualTo((1, 0, 60_050_000)));
    }

    [Test]
    public async Task A_bucket_counts_whole_until_its_last_token_leaves()
    {
        var start = 1_900_000_000 * Second;
        await TakeAsync("bucket", 2, 1, 1, 0, start);
        await TakeAsync("bucket", 2, 1, 1, 0, start + 999_999);
        Assert.That(await TakeAsync("bucket", 2, 0, 0, 0, start + (60 * Second)), Is.EqualTo((0, 0, 999_999)));
        Assert.That(await TakeAsync("bucket", 2, 0, 0, 0, start + (60 * Second) + 999_999), Is.EqualTo((0, 2, 0)));
    }

    [Test]
    public async Task A_clock_set_back_frees_nothing_and_locks_nobody_out_for_longer_than_the_window()
    {
        var start = 1_900_000_000 * Second;
        await TakeAsync("back", 1, 1, 1, 0, start);
        var back = start - (3_600 * Second);
        Assert.That(await TakeAsync("back", 1, 1, 1, 0, back), Is.EqualTo((0, 0, 60 * Second)));
        Assert.That(await TakeAsync("back", 1, 1, 1, 0, back + (60 * Second) - 1), Is.EqualTo((0, 0, 1)));
        Assert.That(await TakeAsync("back", 1, 1, 1, 0, back + (60 * Second)), Is.EqualTo((1, 0, 60 * Second)));
    }

    [Test]
    public async Task Whatever_is_asked_no_sixty_seconds_hold_more_than_the_limit([Range(1, 25)] int seed)
    {
        var random = new Random(seed);
        var limit = random.Next(1, 40);
        var grants = new List<(long At, long Until, int Tokens)>();
        var now = 0L;
        var offset = 1_900_000_000 * Second;
        for (var step = 0; step < 400; step++)
        {
            now += random.Next(5) switch { 0 => 0, 1 => random.Next(1_000), 2 => random.Next(200_000), 3 => random.Next(3_000_000), _ => random.Next(15_000_000) };
            if (random.Next(60) == 0)
                offset -= random.Next(100_000_000);
            if (random.Next(80) == 0)
                limit = random.Next(1, 40);
            var wanted = random.Next(0, 6);
            var needed = random.Next(0, wanted + 1);
            var life = random.Next(3) * 500_000;

            var (taken, remaining, reset) = await TakeAsync($"seed{seed}", limit, needed, wanted, life, now + offset);

            var counted = grants.Where(grant => grant.Until > now).Sum(grant => grant.Tokens);
            Assert.That(taken == 0 || counted + taken <= limit, $"step {step}: {counted} counted, {taken} taken of {limit}");
            Assert.That(taken, Is.LessThanOrEqualTo(wanted));
            Assert.That(taken == 0 || taken >= needed, $"step {step}: {taken} taken, {needed} needed");
            // A bucket lasts at most a second, and a clock that was set back counts as standing still: without that,
            // nothing is refused that is free.
            if (offset == 1_900_000_000 * Second)
            {
                var atMost = grants.Where(grant => grant.Until + Second > now).Sum(grant => grant.Tokens);
                Assert.That(limit - atMost >= Math.Max(needed, 1) && wanted > 0 && taken == 0, Is.False, $"step {step}: refused with {atMost} of {limit} counted");
            }

            if (taken > 0)
                grants.Add((now, now + (60 * Second) + life, taken));
            var counts = grants.Exists(grant => grant.Until > now);
            Assert.That(remaining, Is.LessThanOrEqualTo(Math.Max(limit - counted - taken, 0)));
            Assert.That(!counts || reset > 0, $"step {step}: nothing is said to leave");
        }
    }

    [Test]
    public async Task Unused_tokens_are_free_again_and_no_others()
    {
        var start = 1_900_000_000 * Second;
        var first = await SettleAsync("unused", 10, 4, 4, 0, start);
        var second = await SettleAsync("unused", 10, 6, 6, 0, start + (2 * Second));
        Assert.That((first.Bucket, second.Bucket), Is.EqualTo((start, start + (2 * Second))));

        var third = await SettleAsync("unused", 10, 3, 3, 0, start + (3 * Second), unused: 3, bucket: first.Bucket);
        Assert.That((third.Taken, third.Remaining), Is.EqualTo((3, 0)));
        Assert.That((await SettleAsync("unused", 10, 0, 0, 0, start + (3 * Second), unused: 5, bucket: 12_345)).Remaining, Is.Zero, "no such bucket");
        Assert.That((await SettleAsync("unused", 10, 0, 0, 0, start + (3 * Second), unused: 9, bucket: first.Bucket)).Remaining, Is.EqualTo(1), "it held one more");
        Assert.That((await SettleAsync("unused", 10, 0, 0, 0, start + (60 * Second))).Remaining, Is.EqualTo(1));
    }

    [Test]
    public async Task Returning_all_that_is_counted_empties_the_window()
    {
        var start = 1_900_000_000 * Second;
        var grant = await SettleAsync("emptied", 10, 4, 4, 0, start);
        Assert.That((await SettleAsync("emptied", 10, 0, 0, 0, start, unused: 4, bucket: grant.Bucket)), Is.EqualTo((0, 10, 0, 0)));
        Assert.That((await _redis.KeyExistsAsync("emptied")), Is.False);
    }

    [Test]
    public async Task What_a_node_admitted_by_itself_counts_also_past_the_limit_until_it_leaves()
    {
        var start = 1_900_000_000 * Second;
        await SettleAsync("owed", 10, 8, 8, 0, start);
        var charged = await SettleAsync("owed", 10, 1, 1, 0, start, owed: 5, owedFor: 20 * Second);
        Assert.That((charged.Taken, charged.Remaining, charged.Reset), Is.EqualTo((0, 0, 20 * Second)));
        Assert.That((await SettleAsync("owed", 10, 1, 1, 0, start + (20 * Second) - 1)).Taken, Is.Zero);
        Assert.That((await SettleAsync("owed", 10, 5, 5, 0, start + (20 * Second))).Taken, Is.Zero);
        Assert.That((await SettleAsync("owed", 10, 2, 2, 0, start + (20 * Second))).Taken, Is.EqualTo(2));
    }

    [Test, Explicit("Measures.")]
    public async Task What_a_call_costs()
    {
        var start = 1_900_000_000 * Second;
        for (var i = 0; i < 600; i++)
            await TakeAsync("cost", 1_000_000, 1, 1, 50_000, start + (i * 100_000L));
        await _server.AskAsync("CONFIG", "RESETSTAT");
        for (var i = 0; i < 5_000; i++)
            await TakeAsync("cost", 1_000_000, 1, 1, 50_000, start + 60_000_000 + (i * 10L));
        TestContext.Out.WriteLine(await _server.AskAsync("INFO", "commandstats"));
        TestContext.Out.WriteLine(await _server.AskAsync("STRLEN", "cost"));
    }

    private async Task<(int Taken, int Remaining, long Reset)> TakeAsync(string key, int limit, int needed, int wanted, long life, long now)
    {
        var grant = await SettleAsync(key, limit, needed, wanted, life, now);
        return (grant.Taken, grant.Remaining, grant.Reset);
    }

    private async Task<(int Taken, int Remaining, long Reset, long Bucket)> SettleAsync(
        string key, int limit, int needed, int wanted, long life, long now, int unused = 0, long bucket = 0, int owed = 0, long owedFor = 0)
    {
        var figures = (RedisResult[])(await _redis.ScriptEvaluateAsync(Script, [key], [limit, needed, wanted, life, unused, bucket, owed, owedFor, now]))!;
        return ((int)figures[0], (int)figures[1], (long)figures[2], (long)figures[3]);
    }
}
