using Mira.Application.Audit;
using Mira.Application.Ledger;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Ledger;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Events in whose columns somebody has put what the column is not for.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class DamagedEventTests(StoreKind kind) : IDisposable
{
    private static readonly EventFilter All = new(null, null, null, null, null, null, 100);

    private Store _store = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        for (var count = 0; count < 5; count++)
            await _store.AddAsync(new HeldKey());
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [TestCase("hash")]
    [TestCase("previous_hash")]
    [TestCase("type")]
    [TestCase("body")]
    [TestCase("at")]
    public async Task An_event_that_cannot_be_read_holds_up_no_other(string column)
    {
        await AttackAsync(
            kind == StoreKind.Postgres ? [$"ALTER TABLE ledger ALTER COLUMN {column} DROP NOT NULL"]
                : ["CREATE TABLE copied AS SELECT * FROM ledger", "DROP TABLE ledger", "ALTER TABLE copied RENAME TO ledger"]);
        await AttackAsync([$"UPDATE ledger SET {column} = NULL WHERE seq = 3"]);

        var found = await _store.Reader.FindAsync(All, CancellationToken.None);
        Assert.That(found.Select(entry => (entry.Seq, entry.IsUnreadable)), Is.EqualTo(new[] { (5L, false), (4L, false), (3L, true), (2L, false), (1L, false) }));
        var page = await _store.Reader.ReadFromAsync(2, 2, CancellationToken.None);
        Assert.That(page.Select(entry => (entry.Seq, entry.IsUnreadable)), Is.EqualTo(new[] { (2L, false), (3L, true) }));
        await ExpectOthersAsync();
    }

    [TestCase("at", "'then'")]
    [TestCase("at", "1e300")]
    [TestCase("at", "x'ff'")]
    [TestCase("type", "x'ff00'")]
    [TestCase("subject", "12")]
    [TestCase("actor_key_id", "1.5")]
    [TestCase("body", "x'ff00'")]
    [TestCase("body", "''")]
    [TestCase("previous_hash", "12")]
    [TestCase("hash", "x'00'")]
    public async Task A_value_of_another_type_holds_up_no_other(string column, string value)
    {
        if (kind != StoreKind.Sqlite)
            Assert.Ignore("The columns of this database have types.");
        await AttackAsync([$"UPDATE ledger SET {column} = {value} WHERE seq = 3"]);

        await ExpectOthersAsync();
    }

    private async Task ExpectOthersAsync()
    {
        var whole = new EditedEvents(_store.Follower, _store.Gathered).LeaveOut(await _store.Reader.FindAsync(All, CancellationToken.None));
        // Where the hash itself or the one before it was edited, the two that hold to it are told apart no more.
        Assert.That(whole.Select(entry => entry.Seq), Is.SupersetOf(new[] { 5L, 4L, 1L }).And.Not.Contains(3L));
        Assert.That(_store.Follower.IsBroken);
        Assert.That(_store.Gathered.Take().Select(one => (one.Group.Type, one.Group.Reason)), Does.Contain((EventType.IntegrityViolation, EditedEvents.Reason)));
        var flaw = await StoredChain.CheckAsync(_store.Reader, _store.Archive, () => new ChainProof([Store.AuditKey.Public]), CancellationToken.None);
        Assert.That(flaw?.Seq, Is.EqualTo(3));
    }

    private async Task AttackAsync(string[] statements)
    {
        await using var connection = _store.Connect();
        foreach (var statement in statements)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = statement;
            await command.ExecuteNonQueryAsync();
        }
    }
}
