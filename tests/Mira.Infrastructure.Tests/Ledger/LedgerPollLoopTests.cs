using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class LedgerPollLoopTests(StoreKind kind) : IDisposable
{
    private static readonly LedgerPollerOptions Options = new();

    private Store _store = null!;
    private Messages<LedgerPollLoop> _log = null!;
    private LedgerPollLoop _loop = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _log = new Messages<LedgerPollLoop>();
        _loop = new LedgerPollLoop(_store.Follower, Options, _store.Scopes, _store.Clock, _log);
        await _loop.StartAsync(CancellationToken.None);
        await _store.Clock.Begun;
    }

    [TearDown]
    public void Dispose()
    {
        _loop.Dispose();
        _store.Dispose();
    }

    [Test]
    public async Task A_ledger_that_is_rolled_back_is_told_once_at_the_next_poll()
    {
        await _store.AddAsync(new HeldKey());
        await _store.AddAsync(new HeldKey());
        await _store.AskAsync("DELETE FROM ledger WHERE seq = 2; UPDATE ledger_head SET seq = 1, hash = (SELECT hash FROM ledger WHERE seq = 1)");

        _store.Clock.Advance(Options.PollInterval);
        var (level, text) = await _log.NextAsync();

        Assert.That(level, Is.EqualTo(LogLevel.Critical));
        Assert.That(text, Does.Contain("stands at 1"));
        Assert.That(_store.Follower.IsBroken);
        await StopAsync();
        Assert.That(_log.Lines, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_ledger_that_is_not_the_one_seen_is_recorded_once_and_begins_an_epoch_for_all_nodes()
    {
        await _store.AddAsync(new HeldKey());
        await _store.AskAsync("CREATE TABLE backup AS SELECT * FROM ledger_head");
        await _store.AddAsync(new HeldKey());
        var before = _store.Changes.Epoch;
        await _store.AskAsync("DELETE FROM ledger WHERE seq = 2; DELETE FROM ledger_head; INSERT INTO ledger_head SELECT * FROM backup");

        _store.Clock.Advance(Options.PollInterval);
        await _log.NextAsync();
        while ((await _store.HeadAsync()).Seq < 2 || _store.Follower.Violation is not null)
            await Task.Yield();
        _store.Clock.Advance(Options.PollInterval);
        await _store.Follower.CatchUpAsync();
        await StopAsync();

        var recorded = (await _store.EventsAsync())[^1];
        Assert.That(recorded, Has.Property("Type").EqualTo("integrity.violation").And.Property("Subject").Null.And.Property("Seq").EqualTo(2));
        Assert.That(recorded.Body, Does.Contain("\"reason\":\"ledger_replaced\"").And.Contain("ledger_behind"));
        Assert.That(_store.Changes.Epoch, Is.Not.EqualTo(before).And.EqualTo(recorded.Hash[..16]));
        Assert.That((await _store.Reader.GetOutlineAsync(100, CancellationToken.None)).Epoch, Is.EqualTo(recorded.Hash[..16]), "whoever starts later goes by it too");
    }

    [Test]
    public async Task A_violation_that_cannot_be_recorded_is_told_once_and_recorded_when_it_can()
    {
        await _store.AddAsync(new HeldKey());
        await _store.AskAsync("UPDATE ledger SET hash = upper(hash) WHERE seq = 1");
        _store.Saves.FailsCommit = true;
        for (var i = 0; i < 3; i++)
        {
            _store.Clock.Advance(Options.PollInterval);
            await _store.Follower.CatchUpAsync();
        }

        await _log.NextAsync();
        Assert.That(_store.Follower.Violation, Is.EqualTo("hash_differs"));
        _store.Saves.FailsCommit = false;
        while (_store.Follower.Violation is not null)
        {
            _store.Clock.Advance(Options.PollInterval);
            await Task.Yield();
        }

        await StopAsync();
        Assert.That(_log.Lines, Has.Count.EqualTo(1));
        Assert.That((await _store.EventsAsync()).Count(entry => entry.Type == "integrity.violation"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_last_event_that_was_made_anew_with_its_hash_is_found()
    {
        await _store.AddAsync(new HeldKey());
        await _store.AskAsync("UPDATE ledger SET hash = upper(hash) WHERE seq = 1");

        _store.Clock.Advance(Options.PollInterval);

        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Critical));
        await StopAsync();
    }

    [Test]
    public async Task A_ledger_that_cannot_be_read_is_told_and_tried_again()
    {
        _store.Watch.Fails = _ => true;
        _store.Clock.Advance(Options.PollInterval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Error));

        _store.Clock.Advance(Options.PollInterval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Error));
        Assert.That(_store.Follower.IsBroken, Is.False);
        await StopAsync();
    }

    [Test]
    public async Task While_nobody_calls_it_looks_every_three_seconds_unless_nodes_share_the_store_or_it_cannot_be_read()
    {
        await StopAsync();
        var options = Options with { IsShared = kind == StoreKind.Postgres };
        var quiet = new QuietTime(options.IsShared, _store.Clock);
        using var loop = new LedgerPollLoop(_store.Follower, options, _store.Scopes, _store.Clock, _log, quiet: quiet);
        using var strict = new LedgerPollLoop(_store.Follower, options with { MaxStaleness = TimeSpan.FromSeconds(2) }, _store.Scopes, _store.Clock, _log, quiet: quiet);
        _store.Clock.Advance(QuietTime.After);
        await _store.Follower.CatchUpAsync();
        _store.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.That(loop.IsToLook(), Is.EqualTo(options.IsShared));
        Assert.That(strict.IsToLook(), "half of what a node may trust what it knows is over");
        _store.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(loop.IsToLook());

        await _store.Follower.CatchUpAsync();
        quiet.NoteCall();
        Assert.That(loop.IsToLook());
        _store.Clock.Advance(QuietTime.After);
        _store.Watch.Fails = _ => true;
        await Assert.ThatAsync(_store.Follower.CatchUpAsync, Throws.InstanceOf<StoreUnavailableException>());
        Assert.That(loop.IsToLook());
    }

    private Task StopAsync() => _loop.StopAsync(CancellationToken.None);
}
