using System.Text.Json.Nodes;
using Mira.Infrastructure.Airtable;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>Repetitions, pauses and the breaker, by a clock that the test moves.</summary>
internal sealed class AirtableResilienceTests
{
    private AirtableServer _server = null!;
    private LoopClock _clock = null!;
    private AirtableNode _node = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _server = await AirtableServer.StartAsync(new AirtableServerOptions { CallsPerSecond = null });
        _server.AddSheet(AirtableNode.Table, "key_id");
        _clock = new LoopClock();
        _node = AirtableNode.Beside(_server, options => options with { BreakDuration = TimeSpan.FromSeconds(5), RetryDelay = TimeSpan.FromSeconds(1), LockOut = TimeSpan.FromSeconds(30) }, _clock);
        // The pace is made here, and its first second passes.
        Assert.That(_node.Pace.LockedFor, Is.EqualTo(TimeSpan.Zero));
        _clock.Advance(TimeSpan.FromSeconds(2));
    }

    [TearDown]
    public async Task StopAsync() => await _node.DisposeAsync();

    [Test]
    public async Task The_breaker_opens_after_at_most_ten_failures_in_a_row_and_lets_one_call_try_again_after_a_while()
    {
        for (var call = 0; call < 50; call++)
            await UpsertAsync();
        _server.Faults.Always(AirtableFault.Unavailable);
        var before = _server.Calls.Count;
        List<AirtableException> failures = [];
        for (var call = 0; call < 15; call++)
            failures.Add(await FailureOf(UpsertAsync()));

        Assert.That(_server.Calls.Count - before, Is.LessThanOrEqualTo(10));
        Assert.That(failures[^1].Fate, Is.EqualTo(DeliveryState.NotSent));
        Assert.That(failures[^1].RetryAfter, Is.InRange(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5)));

        before = _server.Calls.Count;
        _clock.Advance(TimeSpan.FromSeconds(5));
        await FailureOf(UpsertAsync());
        await FailureOf(UpsertAsync());
        Assert.That(_server.Calls.Count - before, Is.EqualTo(1), "one tries, and it is open again");

        _server.Faults.Clear();
        _clock.Advance(TimeSpan.FromSeconds(5));
        await UpsertAsync();
        await UpsertAsync();
    }

    [Test]
    public async Task The_breaker_counts_polls_and_changes_together_and_refusals_not_at_all()
    {
        _server.Faults.Always(AirtableFault.TooMany, call => call.Method == "POST");
        for (var call = 0; call < 20; call++)
            await FailureOf(_node.Client.UpsertAsync([new JsonObject { ["key_id"] = "k", ["no such field"] = 1 }], CallPriority.Change, CancellationToken.None));
        Assert.That(await _node.Client.FindAsync("rec00000000000000", CallPriority.Change, CancellationToken.None), Is.Null);

        _server.Faults.Always(AirtableFault.HtmlAfter);
        for (var call = 0; call < 5; call++)
        {
            await FailureOf(UpsertAsync());
            await FailureOf(UpsertAsync(CallPriority.Background));
        }

        Assert.That((await FailureOf(UpsertAsync())).Fate, Is.EqualTo(DeliveryState.NotSent));
    }

    [Test]
    public async Task An_answer_that_says_when_to_come_again_is_obeyed()
    {
        _server.Faults.RetryAfter = TimeSpan.FromSeconds(3);
        _server.Faults.Next(AirtableFault.Unavailable);

        var found = _node.Client.FindAsync("rec00000000000000", CallPriority.Change, CancellationToken.None);
        await _clock.Waiting(TimeSpan.FromSeconds(3));
        Assert.That(_server.Calls, Has.Count.EqualTo(1));
        _clock.Advance(TimeSpan.FromSeconds(3));

        Assert.That(await found, Is.Null);
        Assert.That(_server.Calls, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_call_that_is_told_to_come_again_too_late_is_not_repeated()
    {
        _server.Faults.RetryAfter = TimeSpan.FromHours(1);
        _server.Faults.Next(AirtableFault.Unavailable);

        var failure = await FailureOf(_node.Client.FindAsync("rec00000000000000", CallPriority.Change, CancellationToken.None));

        Assert.That(failure.RetryAfter, Is.EqualTo(TimeSpan.FromHours(1)));
    }

    [Test]
    public async Task A_lock_out_lasts_as_long_as_Airtable_says_and_thirty_seconds_at_least()
    {
        _server.Faults.Next(AirtableFault.TooMany);
        await FailureOf(UpsertAsync());
        Assert.That(_node.Pace.LockedFor, Is.EqualTo(TimeSpan.FromSeconds(30)));

        _server.Unlock();
        _clock.Advance(TimeSpan.FromSeconds(30));
        _server.Faults.RetryAfter = TimeSpan.FromSeconds(45);
        _server.Faults.Next(AirtableFault.TooMany);
        await FailureOf(UpsertAsync());

        Assert.That(_node.Pace.LockedFor, Is.EqualTo(TimeSpan.FromSeconds(45)));
    }

    [Test]
    public async Task A_change_that_does_not_get_its_turn_in_time_was_not_sent()
    {
        await using var slow = AirtableNode.Beside(_server, options => options with { CallsPerSecond = 1, Second = TimeSpan.FromHours(1) }, _clock);

        var call = slow.Client.UpsertAsync([new JsonObject { ["key_id"] = "k" }], CallPriority.Change, CancellationToken.None);
        _clock.Advance(TimeSpan.FromSeconds(4));

        Assert.That((await FailureOf(call)).Fate, Is.EqualTo(DeliveryState.NotSent));
        Assert.That(_server.Calls, Is.Empty);
    }

    [Test]
    public async Task A_call_keeps_its_place_until_a_second_after_its_answer()
    {
        await using var one = AirtableNode.Beside(
            _server,
            options => options with { CallsPerSecond = 1, Second = TimeSpan.FromSeconds(1), BackgroundPatience = new AirtableTimeouts(TimeSpan.FromHours(1), TimeSpan.FromHours(2)) },
            _clock);
        var held = _server.Hold(_ => true);
        var first = one.Client.FindAsync("rec00000000000000", CallPriority.Background, CancellationToken.None);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await held.Arrived;
        var second = one.Client.FindAsync("rec00000000000000", CallPriority.Background, CancellationToken.None);

        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.That(one.Pace.Waiting, Is.EqualTo(1));
        await held.ReleaseAsync();
        await first;
        Assert.That(one.Pace.Waiting, Is.EqualTo(1));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(one.Pace.Waiting, Is.Zero);

        await second;
    }

    [Test]
    public async Task A_call_whose_time_is_over_while_it_is_on_its_way_has_an_unknown_fate()
    {
        await using var slow = AirtableNode.Beside(
            _server, options => options with { ChangePatience = new AirtableTimeouts(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(4)) }, _clock);
        var held = _server.Hold(_ => true);

        var call = slow.Client.UpsertAsync([new JsonObject { ["key_id"] = "k" }], CallPriority.Change, CancellationToken.None);
        _clock.Advance(TimeSpan.FromSeconds(2));
        await held.Arrived;
        _clock.Advance(TimeSpan.FromSeconds(3));

        Assert.That((await FailureOf(call)).Fate, Is.EqualTo(DeliveryState.Unknown));
        await held.ReleaseAsync();
        Assert.That(_server.Sheet(AirtableNode.Table).Snapshot(), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Who_cancels_is_told_so_and_not_that_it_failed()
    {
        using var cancelled = new CancellationTokenSource();
        var held = _server.Hold(_ => true);
        var call = _node.Client.FindAsync("rec00000000000000", CallPriority.Change, cancelled.Token);
        await held.Arrived;

        await cancelled.CancelAsync();

        Assert.That(async () => await call, Throws.InstanceOf<OperationCanceledException>());
        await held.ReleaseAsync();
    }

    private async Task UpsertAsync(CallPriority urgency = CallPriority.Change) =>
        await _node.Client.UpsertAsync([new JsonObject { ["key_id"] = "k" }], urgency, CancellationToken.None);

    private static async Task<AirtableException> FailureOf(Task call) => (await Assert.ThrowsAsync<AirtableException>(() => call))!;
}
