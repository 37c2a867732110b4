using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

public sealed class ClockCheckTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private Store _store = null!;
    private FakeTimeProvider _database = null!;
    private Messages<ClockCheck> _log = null!;
    private ClockCheck _check = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(StoreKind.Postgres);
        _database = new FakeTimeProvider(HeldKey.Start);
        _store.Watch.Clock = _database;
        _log = new Messages<ClockCheck>();
        _check = new ClockCheck(_store, _store.Sql, _store.Clock, _log);
    }

    [TearDown]
    public void Dispose()
    {
        _check.Dispose();
        _store.Dispose();
    }

    [TestCase(1_900)]
    [TestCase(-1_900)]
    public async Task A_clock_that_is_close_enough_is_right(int milliseconds)
    {
        _database.AdjustTime(HeldKey.Start.AddMilliseconds(milliseconds));
        await _check.StartAsync(CancellationToken.None);
        _database.AdjustTime(HeldKey.Start.AddSeconds(60));
        _store.Clock.Advance(Interval);
        await _log.NextAsync();

        Assert.That(_log.Lines, Has.Count.EqualTo(1), "not before it was a minute off");
    }

    [TestCase(2_100)]
    [TestCase(-2_100)]
    public async Task A_clock_that_is_too_far_off_is_told_once_and_again_when_it_is_right(int milliseconds)
    {
        _database.AdjustTime(HeldKey.Start.AddMilliseconds(milliseconds));
        await _check.StartAsync(CancellationToken.None);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Warning));
        Assert.That(new LedgerHealth(_store.Gate, _store.Seal, _check).IsClockRight, Is.False);

        _database.AdjustTime(HeldKey.Start.Add(Interval));
        _store.Clock.Advance(Interval);

        Assert.That((await _log.NextAsync()).Text, Does.Contain("close to"));
        Assert.That(new LedgerHealth(_store.Gate, _store.Seal, _check).IsClockRight);
    }

    [Test]
    public void A_ledger_that_goes_by_the_nodes_own_clock_has_nothing_to_compare() =>
        Assert.That(new LedgerHealth(_store.Gate, _store.Seal).IsClockRight);
}
