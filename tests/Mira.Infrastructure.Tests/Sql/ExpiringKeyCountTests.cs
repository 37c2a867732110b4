using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using Mira.Application.Metrics;
using Mira.Domain.Keys;
using Mira.Infrastructure.Background;
using Mira.TestServers;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class ExpiringKeyCountTests(StoreKind kind) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);

    private Store _store = null!;
    private Meter _meter = null!;
    private Readings _readings = null!;
    private ExpiringKeyCount _watch = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _meter = new Meter("Mira");
        _readings = new Readings(instrument => instrument.Meter == _meter);
        _watch = new ExpiringKeyCount(_store, _store.Clock);
        _watch.Register(new Instruments(_meter));
    }

    [TearDown]
    public void Dispose()
    {
        _watch.Dispose();
        _readings.Dispose();
        _meter.Dispose();
        _store.Dispose();
    }

    [Test]
    public async Task Keys_that_work_and_end_soon_are_counted()
    {
        var (revoked, disabled, rotated) = (new HeldKey(days: 2), new HeldKey(days: 2), new HeldKey(days: 2));
        await _store.AddAsync(new HeldKey(days: 1), new HeldKey(days: 3), new HeldKey(days: 14), new HeldKey(days: 15), new HeldKey(days: null), revoked, disabled, rotated);
        await _store.ChangeAsync(revoked.Id, key => key.Revoke("system", null, 1, HeldKey.Start));
        await _store.ChangeAsync(disabled.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, HeldKey.Start));
        await _store.ChangeAsync(rotated.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromHours(1), 90), HeldKey.Start));
        Assert.That(_readings.Look(), Is.Empty, "nothing before it was counted");

        await _watch.StartAsync(CancellationToken.None);

        Assert.That(await ReadAsync(), Is.EqualTo((2.0, 3.0)));
    }

    [Test]
    public async Task They_are_counted_again_as_time_goes_by()
    {
        await _store.AddAsync(new HeldKey(days: 15), new HeldKey(days: 1));
        await _watch.StartAsync(CancellationToken.None);
        Assert.That(await ReadAsync(), Is.EqualTo((1.0, 1.0)));

        _store.Clock.Advance(TimeSpan.FromDays(1) + Interval);

        await WaitForAsync((0, 1));
    }

    [Test]
    public async Task A_store_that_is_away_leaves_what_was_counted()
    {
        await _store.AddAsync(new HeldKey(days: 1));
        await _watch.StartAsync(CancellationToken.None);
        await ReadAsync();
        var failures = 0;
        _store.Watch.Fails = _ => Interlocked.Increment(ref failures) > 0;

        _store.Clock.Advance(Interval);
        await UntilAsync(() => Volatile.Read(ref failures) > 0);
        Assert.That(await ReadAsync(), Is.EqualTo((1.0, 1.0)));

        _store.Watch.Fails = null;
        _store.Clock.Advance(TimeSpan.FromDays(1));
        await WaitForAsync((0, 0));
    }

    [Test]
    public async Task Not_all_keys_are_read_for_it()
    {
        var statement = "";
        _store.Watch.Fails = text =>
        {
            statement = text;
            return false;
        };
        await _watch.StartAsync(CancellationToken.None);
        await ReadAsync();
        _store.Watch.Fails = null;
        Assert.That(statement, Does.Contain("lapse_at"));

        await using var connection = _store.Connect();
        await using var command = connection.CreateCommand();
        // An empty table is cheapest read whole, so PostgreSQL is told not to.
        command.CommandText = (kind == StoreKind.Sqlite ? "EXPLAIN QUERY PLAN " : "SET enable_seqscan = off; EXPLAIN ") + Regex.Replace(statement, @"@\w+", "0");
        await using var rows = await command.ExecuteReaderAsync();
        var plan = "";
        do
        {
            while (await rows.ReadAsync())
                plan += rows.GetValue(rows.FieldCount - 1) + "\n";
        }
        while (await rows.NextResultAsync());

        Assert.That(plan, Does.Contain("IX_keys_lapse_at").And.Match(kind == StoreKind.Sqlite ? @"lapse_at>\? AND lapse_at<\?" : "Index Cond.*lapse_at > .*lapse_at <="), plan);
    }

    private async Task<(double In3Days, double In14Days)> ReadAsync()
    {
        await UntilAsync(() => _readings.Look().Count == 2);
        return Read();
    }

    private (double, double) Read()
    {
        var seen = _readings.Look();
        return (seen["keys_expiring within=3d"].Last(), seen["keys_expiring within=14d"].Last());
    }

    private Task WaitForAsync((double, double) counts) => UntilAsync(() => Read() == counts);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!condition())
            await pace.WaitForNextTickAsync(patience.Token);
    }
}
