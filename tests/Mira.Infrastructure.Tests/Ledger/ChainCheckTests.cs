using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Audit;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

public sealed class ChainCheckTests : IDisposable
{
    private Store _store = null!;
    private Messages<ChainCheck> _log = null!;
    private VerifiedLedger _verified = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        _log = new Messages<ChainCheck>();
        _verified = new VerifiedLedger(_store.Clock);
        var held = new HeldKey();
        await _store.AddAsync(held);
        for (var i = 0; i < 5; i++)
            await _store.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = $"{i}" }, 1, HeldKey.Start));
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_whole_chain_is_nothing_to_tell()
    {
        await CheckAsync();

        Assert.That(_store.Follower.IsBroken, Is.False);
        Assert.That(_log.Lines, Is.Empty);
    }

    [TestCase("UPDATE ledger SET at = at + 1 WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET at = 9000000000000000000 WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET type = 'key.revoked' WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET actor_key_id = 'mira_key_000000000001' WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET subject = 'mira_key_000000000001' WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET subject = NULL WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET body = replace(body, 'success', 'failure') WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET body = 'no event' WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET previous_hash = hash WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger SET hash = previous_hash WHERE seq = 3", 3)]
    [TestCase("DELETE FROM ledger WHERE seq = 3", 3)]
    [TestCase("DELETE FROM ledger WHERE seq = 1", 1)]
    [TestCase("DELETE FROM ledger WHERE seq >= 5", 5)]
    [TestCase("DELETE FROM ledger", 1)]
    [TestCase("UPDATE ledger SET seq = -1 WHERE seq = 3; UPDATE ledger SET seq = 3 WHERE seq = 4; UPDATE ledger SET seq = 4 WHERE seq = -1", 3)]
    [TestCase("UPDATE ledger SET seq = seq + 10 WHERE seq = 6", 6)]
    [TestCase("UPDATE ledger SET body = x'00ff' WHERE seq = 3", 3)]
    [TestCase("UPDATE ledger_head SET signature = NULL", 6)]
    [TestCase("UPDATE ledger_head SET signed_at = signed_at + 1", 6)]
    [TestCase("UPDATE ledger_head SET signature = 'AAAA'", 6)]
    [TestCase("UPDATE ledger_head SET seq = 5, hash = (SELECT hash FROM ledger WHERE seq = 5)", 5)]
    [TestCase("INSERT INTO checkpoints SELECT 7, hash, signed_at, signature, signed_by FROM ledger_head", 7)]
    [TestCase("INSERT INTO checkpoints SELECT 3, hash, signed_at, signature, signed_by FROM ledger_head", 3)]
    [TestCase("INSERT INTO checkpoints SELECT 3, (SELECT hash FROM ledger WHERE seq = 3), signed_at, signature, signed_by FROM ledger_head", 3)]
    [TestCase("INSERT INTO checkpoints SELECT seq, hash, signed_at + 1, signature, signed_by FROM ledger_head", 6)]
    [TestCase("INSERT INTO ledger_begin SELECT 1, 3, (SELECT hash FROM ledger WHERE seq = 3), signed_at, signature, 'x' FROM ledger_head; DELETE FROM ledger WHERE seq <= 3", 4)]
    public async Task Whatever_was_done_to_an_event_is_found(string edit, int at)
    {
        await using (var connection = _store.Connect())
        await using (var command = connection.CreateCommand())
        {
            command.CommandText = edit;
            await command.ExecuteNonQueryAsync();
        }

        await CheckAsync();

        Assert.That(_store.Follower.IsBroken);
        Assert.That(_log.Lines, Has.Count.EqualTo(1));
        Assert.That(_log.Lines[0].Level, Is.EqualTo(LogLevel.Critical));
        Assert.That(_log.Lines[0].Text, Does.Contain($"at {at}:"));
    }

    [Test]
    public async Task A_true_checkpoint_in_place_of_what_was_deleted_is_no_pruning()
    {
        var at = new LedgerPosition(3, (await _store.EventsAsync())[2].Hash);
        var published = Store.AuditKey.Sign(at, HeldKey.Start);
        await _store.AskAsync(
            $"INSERT INTO ledger_begin VALUES (1, 3, '{at.Hash}', {published.At.ToUnixTimeMilliseconds()}, '{published.Signature}', 'x'); DELETE FROM ledger WHERE seq <= 3");

        await CheckAsync();

        Assert.That(_log.Lines.Single().Text, Does.Contain("at 4:"));
    }

    [Test]
    public async Task A_check_that_cannot_go_on_says_how_far_it_came_and_accuses_nobody()
    {
        _store.Watch.Fails = _ => true;

        await CheckAsync();

        Assert.That(_store.Follower.IsBroken, Is.False);
        Assert.That(_log.Lines.Single().Level, Is.EqualTo(LogLevel.Error));
    }

    [Test]
    public async Task How_far_the_chain_was_found_right_is_told_and_how_long_ago()
    {
        await CheckAsync();
        _store.Clock.Advance(TimeSpan.FromMinutes(3));

        Assert.That((_verified.Seq, _verified.Age), Is.EqualTo((6L, TimeSpan.FromMinutes(3))));
    }

    [Test]
    public async Task What_is_edited_while_the_service_runs_is_found_by_a_later_check()
    {
        var counted = new List<int>();
        using var check = Make();
        await check.CheckAsync(Pace, CancellationToken.None);
        Assert.That(_store.Follower.IsBroken, Is.False);

        await _store.AskAsync("UPDATE ledger SET body = replace(body, 'success', 'failure') WHERE seq = 2");
        await check.CheckAsync(Pace, CancellationToken.None);
        await check.CheckAsync(Pace, CancellationToken.None);

        Assert.That(_store.Follower.IsBroken);
        Assert.That(_log.Lines.Single().Text, Does.Contain("at 2:"), "once");
        Assert.That(_verified.Seq, Is.EqualTo(6), "of the check that found nothing");
        Assert.That(counted, Is.EqualTo(new[] { 6 }), "it waits after what it has read");

        Task Pace(int events)
        {
            counted.Add(events);
            return Task.CompletedTask;
        }
    }

    [TestCase(100, 1_000, 10)]
    [TestCase(100, 8_640_000, 10)]
    [TestCase(100, 86_400_000, 1)]
    [TestCase(1_000, 1_000, 1)]
    public void A_check_is_slow_and_yet_done_in_a_day(int rate, long all, int seconds) =>
        Assert.That(new ChainCheckOptions(rate).PauseAfter(1_000, all), Is.EqualTo(TimeSpan.FromSeconds(seconds)));

    private async Task CheckAsync()
    {
        using var check = Make();
        await check.CheckAsync(_ => Task.CompletedTask, CancellationToken.None);
    }

    private ChainCheck Make() => new(
        _store.Reader, _store.Archive, Store.AuditKey, _store.Follower, _verified, new ChainCheckOptions(), _store.Clock, new StartedHost(), _log);

    private sealed class StartedHost : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => new(canceled: true);

        public CancellationToken ApplicationStopping => CancellationToken.None;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void StopApplication() => throw new NotSupportedException();
    }
}
