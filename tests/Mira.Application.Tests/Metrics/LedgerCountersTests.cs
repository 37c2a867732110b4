using System.Diagnostics.Metrics;
using Microsoft.Extensions.Time.Testing;
using Mira.Application.Metrics;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.TestServers;

namespace Mira.Application.Tests.Metrics;

public sealed class LedgerCountersTests : IDisposable
{
    private readonly HeldKey _held = new();
    private FakeTimeProvider _clock = null!;
    private LedgerCounters _tally = null!;
    private Meter _board = null!;
    private Readings _readings = null!;
    private FakeLedgerReader _ledger = null!;
    private LedgerPoller _follower = null!;

    [SetUp]
    public void SetUp()
    {
        _clock = new FakeTimeProvider(HeldKey.Start);
        _board = new Meter("Mira");
        // The tally's own meter is the one made while this listens.
        var lag = new List<Instrument>();
        _readings = new Readings(instrument => instrument.Meter == _board || (instrument.Name == LedgerCounters.Lag && lag.Count < 1 && Keep(lag, instrument)));
        _tally = new LedgerCounters(_clock);
        _tally.Register(new Instruments(_board));
        _ledger = new FakeLedgerReader();
        var changes = new RecentChanges();
        _follower = new LedgerPoller(
            _ledger, changes, new KeyCache(new FakeKeyStore(), changes, new KeyCacheOptions()), new LedgerPollerOptions(), _clock, tally: _tally);
    }

    [TearDown]
    public void Dispose()
    {
        _follower.Dispose();
        _readings.Dispose();
        _tally.Dispose();
        _board.Dispose();
    }

    [Test]
    public async Task Events_are_counted_by_type_once_they_are_followed()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.Append(_held.Id);
        _ledger.Append(_held.Id);
        await _follower.CatchUpAsync();
        await _follower.CatchUpAsync();
        _tally.Note(FakeLedgerReader.Next(LedgerPosition.Start, null, EventType.SystemStarted));
        _tally.Note(FakeLedgerReader.Next(LedgerPosition.Start, null, "of.another.version"));

        var seen = _readings.Look();

        Assert.That(seen["ledger_events type=key.updated"].Last(), Is.EqualTo(2));
        Assert.That(seen["ledger_events type=system.started"].Last(), Is.EqualTo(1));
        Assert.That(seen["ledger_events type=other"].Last(), Is.EqualTo(1), "no open-ended label");
        Assert.That(seen.Keys.Count(name => name.StartsWith("ledger_events", StringComparison.Ordinal)), Is.EqualTo(EventType.All.Count + 1));
    }

    [Test]
    public async Task A_change_of_a_key_is_late_by_the_time_since_it_was_made()
    {
        await _follower.StartAsync(CancellationToken.None);
        _ledger.Append(_held.Id);
        _clock.Advance(TimeSpan.FromSeconds(1.5));
        await _follower.CatchUpAsync();
        Assert.That(_readings.Look()[LedgerCounters.Lag], Is.EqualTo(new[] { 1.5 }));
    }

    [Test]
    public void What_is_no_change_of_a_key_has_no_lag()
    {
        _tally.Note(FakeLedgerReader.Next(LedgerPosition.Start, null, EventType.SystemStarted));
        Assert.That(_readings.Look(), Does.Not.ContainKey(LedgerCounters.Lag));
    }

    [Test]
    public void A_clock_that_is_behind_makes_it_none()
    {
        _clock.AdjustTime(HeldKey.Start.AddSeconds(-3));
        _tally.Note(FakeLedgerReader.Next(LedgerPosition.Start, _held.Id.Value, EventType.KeyRevoked));
        Assert.That(_readings.Look()[LedgerCounters.Lag], Is.EqualTo(new[] { 0.0 }));
    }

    private static bool Keep(List<Instrument> kept, Instrument instrument)
    {
        kept.Add(instrument);
        return true;
    }
}
