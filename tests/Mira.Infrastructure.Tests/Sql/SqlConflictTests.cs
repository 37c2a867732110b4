using Microsoft.EntityFrameworkCore;
using Mira.Application.Ledger;
using Mira.Domain.Keys;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>
/// Somebody writes keys around the ledger, in the moment between reading and writing. With Airtable no key is written
/// in the transaction that reads it.
/// </summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class SqlConflictTests(StoreKind kind) : IDisposable
{
    private Store _store = null!;
    private HeldKey _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _held = new HeldKey();
        await _store.AddAsync(_held);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_key_that_changed_under_the_lock_is_decided_about_again_from_what_is_there()
    {
        var seen = new List<int>();
        _store.Saves.BeforeSave = database => database.Database.ExecuteSqlAsync($"UPDATE keys SET mac = NULL, name = 'edited'");

        await _store.ChangeAsync(async change =>
        {
            var key = (await change.FindKeyAsync(_held.Id))!;
            seen.Add(key.Version);
            key.Update(new KeyUpdate { Owner = "team" }, 1, change.Now);
        });

        Assert.That(seen, Is.EqualTo(new[] { 1, 1 }), "what was done around the ledger in the failed transaction is gone with it");
        var read = (await _store.ReadAsync(_held.Id))!;
        Assert.That((read.Version, read.Owner), Is.EqualTo((2, "team")));
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(2));
    }

    [Test]
    public async Task A_key_that_changes_each_time_it_is_decided_about_ends_in_a_refusal()
    {
        var attempts = 0;

        Assert.That(
            () => _store.ChangeAsync(async change =>
            {
                _store.Saves.BeforeSave = database => database.Database.ExecuteSqlAsync($"UPDATE keys SET mac = NULL");
                attempts++;
                (await change.FindKeyAsync(_held.Id))!.Update(new KeyUpdate { Owner = "team" }, 1, change.Now);
            }),
            Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(attempts, Is.EqualTo(3));
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(1));
    }
}
