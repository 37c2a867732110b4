using Microsoft.Extensions.Logging;
using Mira.Application.Background;
using Mira.Application.Ledger;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

public sealed class WriteProbeTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private Store _store = null!;
    private Messages<WriteProbe> _log = null!;
    private WriteProbe _probe = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        _log = new Messages<WriteProbe>();
        _probe = new WriteProbe(_store, _store.Gate, _store.Clock, _log);
        await _probe.StartAsync(CancellationToken.None);
        await _store.Clock.Begun;
    }

    [TearDown]
    public void Dispose()
    {
        _probe.Dispose();
        _store.Dispose();
    }

    [Test]
    public async Task A_store_that_cannot_be_written_is_told_once_and_so_is_its_return()
    {
        _store.Watch.Fails = _ => true;
        _store.Clock.Advance(Interval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Error));
        Assert.That(_store.Gate.IsWritable, Is.False);

        _store.Watch.Fails = null;
        _store.Clock.Advance(Interval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Information));
        Assert.That(_store.Gate.IsWritable);
        await StopAsync();
        Assert.That(_log.Lines, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task What_it_writes_is_new_each_time_because_the_database_skips_what_is_there()
    {
        _store.Watch.Fails = _ => true;
        _store.Clock.Advance(Interval);
        await _log.NextAsync();
        _store.Watch.Fails = null;
        _store.Clock.Advance(Interval);
        await _log.NextAsync();
        await StopAsync();

        Assert.That(await _store.AskAsync("SELECT at FROM probe"), Is.EqualTo(_store.Clock.GetUtcNow().ToUnixTimeMilliseconds()));
    }

    [Test]
    public async Task While_nobody_calls_it_writes_every_ten_seconds_and_after_a_call_or_a_failure_every_two()
    {
        await StopAsync();
        var quiet = new QuietTime(isShared: false, _store.Clock);
        using var probe = new WriteProbe(_store, _store.Gate, _store.Clock, _log, quiet: quiet);
        await _store.Gate.RunAsync(() => Task.FromResult(true), CancellationToken.None);
        _store.Clock.Advance(TimeSpan.FromSeconds(9));
        Assert.That(probe.IsToWrite(), Is.False);
        quiet.NoteCall();
        Assert.That(probe.IsToWrite());

        _store.Clock.Advance(TimeSpan.FromSeconds(1));
        await _store.Gate.RunAsync(() => Task.FromResult(true), CancellationToken.None);
        _store.Clock.Advance(Interval);
        Assert.That(quiet.IsNow);
        Assert.That(probe.IsToWrite(), Is.False);
        await Assert.ThatAsync(() => _store.Gate.RunAsync<bool>(() => throw new LedgerUnavailableException("full"), CancellationToken.None), Throws.InstanceOf<LedgerUnavailableException>());
        Assert.That(probe.IsToWrite());
    }

    private Task StopAsync() => _probe.StopAsync(CancellationToken.None);
}
