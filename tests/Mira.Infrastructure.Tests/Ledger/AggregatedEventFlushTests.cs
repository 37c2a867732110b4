using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

public sealed class AggregatedEventFlushTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly Messages<AggregatedEventFlush> _log = new();
    private Store _store = null!;
    private WatchedLedger _ledger = null!;
    private AggregatedEvents _gathered = null!;
    private AggregatedEventFlush _flush = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync();
        _ledger = new WatchedLedger(_store.Ledger);
        _gathered = new AggregatedEvents(_store.Clock);
        var services = new ServiceCollection().AddSingleton<ILedger>(_ledger).BuildServiceProvider();
        _flush = new AggregatedEventFlush(_gathered, services.GetRequiredService<IServiceScopeFactory>(), _store.Clock, _log);
        await _flush.StartAsync(CancellationToken.None);
        await _store.Clock.Begun;
    }

    [TearDown]
    public void Dispose()
    {
        _flush.Dispose();
        _store.Dispose();
    }

    [Test]
    public async Task What_was_gathered_is_recorded_once_in_ten_seconds_with_its_count()
    {
        Note();
        Note();
        _store.Clock.Advance(Interval);
        await _ledger.NextAsync();

        var recorded = (await _store.EventsAsync()).Single();
        var body = JsonNode.Parse(recorded.Body)!;
        Assert.That(recorded.Follows(LedgerPosition.Start));
        Assert.That((recorded.Type, (int)body["count"]!, (string)body["reason"]!, (string)body["outcome"]!), Is.EqualTo(("integrity.violation", 2, "a reason", "failure")));
        Assert.That((string)body["first_at"]!, Is.EqualTo(Rfc3339.Format(HeldKey.Start)));
        Assert.That((string)body["last_at"]!, Is.EqualTo(Rfc3339.Format(HeldKey.Start)));
    }

    [Test]
    public async Task Nothing_gathered_writes_nothing()
    {
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(_ledger.Calls, Is.Zero);
    }

    [Test]
    public async Task What_cannot_be_written_is_kept_for_the_next_time()
    {
        Note();
        _ledger.IsDown = true;
        _store.Clock.Advance(Interval);
        Assert.That((await _log.NextAsync()).Level, Is.EqualTo(LogLevel.Warning));
        Note();
        _ledger.IsDown = false;
        _store.Clock.Advance(Interval);
        await _ledger.NextAsync();

        Assert.That((int)JsonNode.Parse((await _store.EventsAsync()).Single().Body)!["count"]!, Is.EqualTo(2));
    }

    [Test]
    public async Task What_is_left_is_recorded_at_the_end()
    {
        Note();
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(await _store.EventsAsync(), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task An_event_that_names_a_key_without_changing_it_leaves_its_entry_in_memory()
    {
        var held = new HeldKey();
        await _store.AddAsync(held);
        var entry = await _store.Directory.FindAsync(held.Id);
        Note(held.Id.Value);
        await _flush.StopAsync(CancellationToken.None);

        Assert.That(await _store.Directory.FindAsync(held.Id), Is.SameAs(entry));
        Assert.That((await _store.EventsAsync())[^1].Subject, Is.EqualTo(held.Id.Value));
    }

    private void Note(string? subject = null) =>
        _gathered.Note(new EventGroup(EventType.IntegrityViolation, "a reason") { Subject = subject }, this, _ => Actor.System);

    private sealed class WatchedLedger(ILedger ledger) : ILedger
    {
        private readonly Channel<bool> _written = Channel.CreateUnbounded<bool>();

        public bool IsDown { get; set; }

        public int Calls { get; private set; }

        public async Task<T> ChangeAsync<T>(Func<ILedgerChange, Task<T>> change, CancellationToken cancellationToken)
        {
            Calls++;
            if (IsDown)
                throw new LedgerUnavailableException("down");
            var result = await ledger.ChangeAsync(change, cancellationToken);
            _written.Writer.TryWrite(true);
            return result;
        }

        public async Task NextAsync()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            await _written.Reader.ReadAsync(patience.Token);
        }
    }
}
