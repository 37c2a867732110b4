namespace Mira.Infrastructure.Tests.Sql;

/// <summary>Events in whose columns somebody has put what the column is not for.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class DamagedEventTests(StoreKind kind) : DamagedEvents(kind)
{
    [TestCase("hash")]
    [TestCase("previous_hash")]
    [TestCase("type")]
    [TestCase("body")]
    [TestCase("at")]
    public async Task An_event_that_cannot_be_read_holds_up_no_other(string column)
    {
        await AttackAsync(
            Kind == StoreKind.Postgres ? [$"ALTER TABLE ledger ALTER COLUMN {column} DROP NOT NULL"]
                : ["CREATE TABLE copied AS SELECT * FROM ledger", "DROP TABLE ledger", "ALTER TABLE copied RENAME TO ledger"]);
        await AttackAsync([$"UPDATE ledger SET {column} = NULL WHERE seq = 3"]);

        var found = await Store.Reader.FindAsync(All, CancellationToken.None);
        Assert.That(found.Select(entry => (entry.Seq, entry.IsUnreadable)), Is.EqualTo(new[] { (5L, false), (4L, false), (3L, true), (2L, false), (1L, false) }));
        var page = await Store.Reader.ReadFromAsync(2, 2, CancellationToken.None);
        Assert.That(page.Select(entry => (entry.Seq, entry.IsUnreadable)), Is.EqualTo(new[] { (2L, false), (3L, true) }));
        await ExpectOthersAsync();
    }
}
