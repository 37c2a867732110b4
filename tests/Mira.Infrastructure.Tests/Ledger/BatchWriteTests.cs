using Microsoft.Extensions.Logging;
using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

/// <summary>One row that the database refuses does not hold up the others, whatever the cause.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class BatchWriteTests(StoreKind kind) : IDisposable
{
    private Store _store = null!;
    private AggregatedEvents _gathered = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _gathered = new AggregatedEvents(_store.Clock);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task An_event_that_the_database_refuses_is_given_up_alone_and_the_store_stays_writable()
    {
        await RefuseAsync("ledger", "body", "poison");
        var log = new Messages<AggregatedEventFlush>();
        using var flush = new AggregatedEventFlush(_gathered, _store.Scopes, _store.Clock, log);
        for (var i = 0; i < 20; i++)
            Note(i is 3 or 11 ? "poison" : $"reason {i}");
        await flush.StopAsync(CancellationToken.None);

        Assert.That((await _store.EventsAsync()).Select(entry => entry.Body), Has.Exactly(18).Items.And.None.Contains("poison"));
        Assert.That(_gathered.Waiting, Is.Zero);
        Assert.That(_store.Gate.IsWritable);
        Assert.That((await log.NextAsync()).Level, Is.EqualTo(LogLevel.Error));
    }

    [Test]
    public async Task An_event_of_which_no_entry_can_be_made_is_given_up_alone()
    {
        using var flush = new AggregatedEventFlush(_gathered, _store.Scopes, _store.Clock, new Messages<AggregatedEventFlush>());
        Note("first");
        Note("half a pair: \ud800");
        Note("last");
        await flush.StopAsync(CancellationToken.None);

        Assert.That(await _store.EventsAsync(), Has.Count.EqualTo(2));
        Assert.That(_gathered.Waiting, Is.Zero);
    }

    [Test]
    public async Task When_every_row_fails_for_a_reason_that_is_not_its_own_all_are_kept()
    {
        if (kind == StoreKind.Postgres)
            await ExecuteAsync("ALTER TABLE ledger RENAME TO elsewhere");
        else
            await ExecuteAsync("DROP TABLE ledger");
        using var flush = new AggregatedEventFlush(_gathered, _store.Scopes, _store.Clock, new Messages<AggregatedEventFlush>());
        Note("one");
        Note("another");
        await flush.StopAsync(CancellationToken.None);

        Assert.That(_gathered.Waiting, Is.EqualTo(2));
    }

    [Test]
    public async Task A_use_that_the_database_refuses_is_given_up_alone()
    {
        HeldKey[] held = [.. Enumerable.Range(0, 9).Select(_ => new HeldKey())];
        await _store.AddAsync(held);
        await RefuseAsync("secrets", "key_id", held[4].Id.Value, "UPDATE");
        var usage = new UsageLog(HeldKey.Peppers);
        foreach (var key in held)
            usage.Record(new SecretUse(key.Id, key.Key.Current), key.Token, HeldKey.Start.AddMinutes(1));
        using var flush = new UsageFlush(usage, _store.Usage, _store.Clock, new Messages<UsageFlush>());
        await flush.StopAsync(CancellationToken.None);

        var used = await Task.WhenAll(held.Select(async key => (await _store.ReadAsync(key.Id))!.LastUsedAt));
        Assert.That(used.Count(time => time is not null), Is.EqualTo(8));
        Assert.That((used[4], usage.Pending), Is.EqualTo(((DateTimeOffset?)null, 0)));
    }

    [TestCase("plain")]
    [TestCase("nul \0 in the middle")]
    [TestCase("half \ud800 a pair")]
    [TestCase("\udc00")]
    [TestCase("noncharacters \uffff \ufffe")]
    public async Task Whatever_a_caller_calls_itself_can_be_recorded(string agent)
    {
        using var flush = new AggregatedEventFlush(_gathered, _store.Scopes, _store.Clock, new Messages<AggregatedEventFlush>());
        _gathered.Note(new EventGroup(EventType.AuthFailed, "invalid_key"), agent, text => new Actor(null, null, null, "192.0.2.1", text));
        await flush.StopAsync(CancellationToken.None);

        Assert.That((await _store.EventsAsync()).Single().Follows(LedgerPosition.Start));
    }

    [Test]
    public async Task A_caller_with_a_very_long_name_is_recorded_by_its_beginning()
    {
        using var flush = new AggregatedEventFlush(_gathered, _store.Scopes, _store.Clock, new Messages<AggregatedEventFlush>());
        _gathered.Note(new EventGroup(EventType.AuthFailed, "invalid_key"), 0, _ => new Actor(null, null, null, null, new string('a', 255) + "🙂" + new string('b', 100_000)));
        await flush.StopAsync(CancellationToken.None);

        Assert.That((await _store.EventsAsync()).Single().Body, Does.Contain($"\"{new string('a', 255)}\""));
    }

    private void Note(string reason) =>
        _gathered.Note(new EventGroup(EventType.IntegrityViolation, reason), this, _ => Actor.System);

    private async Task RefuseAsync(string table, string column, string text, string when = "INSERT")
    {
        if (kind == StoreKind.Sqlite)
            await ExecuteAsync($"CREATE TRIGGER refuse BEFORE {when} ON {table} WHEN new.{column} LIKE '%{text}%' BEGIN SELECT RAISE(ABORT, 'refused'); END");
        else if (when == "INSERT")
            await ExecuteAsync($"ALTER TABLE {table} ADD CONSTRAINT refuse CHECK ({column} NOT LIKE '%{text}%')");
        else
            await ExecuteAsync($"ALTER TABLE {table} ADD CONSTRAINT refuse CHECK ({column} NOT LIKE '%{text}%' OR last_used_at IS NULL)");
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = _store.Connect();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }
}
