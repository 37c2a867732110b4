using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Time.Testing;
using Mira.Application.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

public sealed class SingleWriterTests : IDisposable
{
    private static readonly SqliteException Full = new("disk full", 13);

    private FakeTimeProvider _clock = null!;
    private SingleWriter _gate = null!;

    [SetUp]
    public void SetUp()
    {
        _clock = new FakeTimeProvider();
        _gate = new SingleWriter(_clock);
    }

    [TearDown]
    public void Dispose() => _gate.Dispose();

    [Test]
    public async Task Writers_come_through_one_after_another()
    {
        var (inside, most) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => _gate.RunAsync(
            async () =>
            {
                most = Math.Max(most, Interlocked.Increment(ref inside));
                await Task.Yield();
                return Interlocked.Decrement(ref inside);
            },
            CancellationToken.None))));

        Assert.That(most, Is.EqualTo(1));
    }

    [Test]
    public async Task Who_waited_behind_a_write_that_failed_shares_its_fate_and_the_next_one_tries_anew()
    {
        var hold = new TaskCompletionSource();
        var tried = 0;
        var failing = _gate.RunAsync<bool>(
            async () =>
            {
                await hold.Task;
                throw Full;
            },
            CancellationToken.None);
        var waiting = Enumerable.Range(0, 5).Select(_ => RunAsync(() => tried++)).ToArray();
        hold.SetResult();

        Assert.That(async () => await failing, Throws.TypeOf<LedgerUnavailableException>().With.InnerException.SameAs(Full));
        foreach (var waited in waiting)
            Assert.That(async () => await waited, Throws.TypeOf<LedgerUnavailableException>());
        Assert.That(tried, Is.Zero);
        Assert.That(_gate.IsWritable, Is.False);

        await RunAsync(() => tried++);
        Assert.That(tried, Is.EqualTo(1));
        Assert.That(_gate.IsWritable);
    }

    [Test]
    public async Task Who_waited_behind_a_refusal_that_is_not_the_databases_goes_on()
    {
        var hold = new TaskCompletionSource();
        var refused = _gate.RunAsync<bool>(
            async () =>
            {
                await hold.Task;
                throw new InvalidOperationException("last admin");
            },
            CancellationToken.None);
        var waiting = RunAsync(() => { });
        hold.SetResult();

        Assert.That(async () => await refused, Throws.TypeOf<InvalidOperationException>());
        Assert.That(async () => await waiting, Throws.Nothing);
        Assert.That(_gate.IsWritable);
    }

    [Test]
    public void A_row_that_cannot_be_written_is_a_failure_of_the_database_and_a_lost_race_is_not()
    {
        Assert.That(() => RunAsync(() => throw new DbUpdateException("", Full)), Throws.TypeOf<LedgerUnavailableException>().With.InnerException.SameAs(Full));
        Assert.That(() => RunAsync(() => throw new DbUpdateConcurrencyException("", Full)), Throws.TypeOf<DbUpdateConcurrencyException>());
    }

    [Test]
    public async Task It_knows_how_long_ago_a_write_worked()
    {
        _clock.Advance(TimeSpan.FromSeconds(5));
        Assert.That(_gate.SinceSuccess, Is.EqualTo(TimeSpan.FromSeconds(5)));

        await RunAsync(() => { });
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(() => RunAsync(() => throw Full), Throws.Exception);

        Assert.That(_gate.SinceSuccess, Is.EqualTo(TimeSpan.FromSeconds(1)));
    }

    [Test]
    public async Task Who_gives_up_waiting_does_not_hold_the_others_up()
    {
        var hold = new TaskCompletionSource();
        var first = RunAsync(hold.Task);
        using var impatient = new CancellationTokenSource();
        var second = _gate.RunAsync(() => Task.FromResult(true), impatient.Token);
        await impatient.CancelAsync();

        Assert.That(async () => await second, Throws.InstanceOf<OperationCanceledException>());
        hold.SetResult();
        await first;
        Assert.That(() => RunAsync(() => { }), Throws.Nothing);
    }

    private Task<bool> RunAsync(Action work) => _gate.RunAsync(
        () =>
        {
            work();
            return Task.FromResult(true);
        },
        CancellationToken.None);

    private Task<bool> RunAsync(Task work) => _gate.RunAsync(
        async () =>
        {
            await work;
            return true;
        },
        CancellationToken.None);
}
