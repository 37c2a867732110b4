using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Ledger;

namespace Mira.Infrastructure.Tests.Usage;

public sealed class UsageFlushTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private LoopClock _clock = null!;
    private UsageLog _usage = null!;
    private FakeUsageStore _store = null!;
    private Messages<UsageFlush> _log = null!;
    private UsageFlush _flush = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _clock = new LoopClock();
        _usage = new UsageLog(HeldKey.Peppers);
        _store = new FakeUsageStore();
        _log = new Messages<UsageFlush>();
        _held = new HeldKey();
        _flush = new UsageFlush(_usage, _store, _clock, _log);
        await _flush.StartAsync(CancellationToken.None);
        await _clock.Begun;
    }

    [TearDown]
    public void Dispose() => _flush.Dispose();

    [Test]
    public async Task What_was_used_is_written_every_two_seconds()
    {
        var use = Record();
        // The timer that all loops share may begin a round half a second early.
        _clock.Advance(Interval / 2);
        Assert.That(_store.Written.Reader.Count, Is.Zero);
        _clock.Advance(Interval / 2);
        Assert.That(await NextAsync(), Is.EqualTo(new[] { use }));

        var next = Record();
        _clock.Advance(Interval);
        Assert.That(await NextAsync(), Is.EqualTo(new[] { next }));
    }

    [Test]
    public async Task What_is_left_is_written_at_the_end()
    {
        var use = Record();
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(await NextAsync(), Is.EqualTo(new[] { use }));
    }

    [Test]
    public async Task Nothing_is_written_when_nothing_was_used()
    {
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(_store.Written.Reader.Count, Is.Zero);
    }

    [Test]
    public async Task Much_is_written_in_batches()
    {
        for (var i = 0; i < 2_100; i++)
            Record();
        await _flush.StopAsync(CancellationToken.None);

        Assert.That((await NextAsync()).Count, Is.EqualTo(1_000));
        Assert.That((await NextAsync()).Count, Is.EqualTo(1_000));
        Assert.That((await NextAsync()).Count, Is.EqualTo(100));
    }

    [Test]
    public async Task One_flush_writes_so_much_and_leaves_the_rest_to_the_next()
    {
        for (var i = 0; i < 5_100; i++)
            Record();

        _clock.Advance(Interval);
        for (var batch = 0; batch < 5; batch++)
            Assert.That((await NextAsync()).Count, Is.EqualTo(1_000));
        _clock.Advance(Interval);

        Assert.That((await NextAsync()).Count, Is.EqualTo(100));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task What_cannot_be_written_is_kept_for_later(bool overloaded)
    {
        var use = Record();
        _store.Failure = overloaded ? new OverloadedException("busy") : new LedgerUnavailableException("full");
        _clock.Advance(Interval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Warning));

        _store.Failure = null;
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(await NextAsync(), Is.EqualTo(new[] { use }));
    }

    private SecretUse Record()
    {
        var use = new SecretUse(_held.Id, _held.Key.Current);
        _usage.Record(use, _held.Token, _clock.GetUtcNow());
        return use;
    }

    private async Task<IReadOnlyList<SecretUse>> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await _store.Written.Reader.ReadAsync(patience.Token);
    }

    private sealed class FakeUsageStore : IUsageStore
    {
        public Channel<IReadOnlyList<SecretUse>> Written { get; } = Channel.CreateUnbounded<IReadOnlyList<SecretUse>>();

        public Exception? Failure { get; set; }

        public Task WriteAsync(IReadOnlyList<SecretUse> uses, CancellationToken cancellationToken)
        {
            if (Failure is not null)
                throw Failure;

            Written.Writer.TryWrite(uses);
            return Task.CompletedTask;
        }
    }
}
