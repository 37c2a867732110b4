using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>What somebody writes into the tables of keys who has the database and no pepper.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class RowForgeryTests(StoreKind kind) : ForgedRows(kind)
{
    [Test]
    public async Task What_Mira_wrote_is_believed_whatever_it_did()
    {
        await Store.ChangeAsync(Held.Id, key => key.Update(new KeyUpdate { Name = "é", Metadata = new Dictionary<string, string> { ["b"] = "1", ["a"] = "2" } }, 1, Store.Clock.GetUtcNow()));
        await Store.ChangeAsync(Held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromHours(1)), Store.Clock.GetUtcNow()));
        await Store.ChangeAsync(Held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.Zero, 5), Store.Clock.GetUtcNow()));
        await Store.ChangeAsync(Held.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, Store.Clock.GetUtcNow()));
        await Store.ChangeAsync(Held.Id, key => key.Revoke("system", "tidy", 1, Store.Clock.GetUtcNow()));

        await ExpectBelievedAsync(Held);
        await ExpectBelievedAsync(Other);
    }

    [TestCase("UPDATE keys SET role = 'admin' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET owner = NULL WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET name = 'other' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET name_folded = 'other' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET free_permissions = '[\"documents:*\"]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET rate_limit_per_minute = 1000000 WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET allowed_ips = '[\"10.0.0.0/8\"]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET lapse_at = NULL WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET current_expires_at = NULL WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET created_seq = 100 WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET changed_seq = 2 WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET mac = NULL WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET mac = NULL, mac_pepper_id = NULL, role = 'admin' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET mac_pepper_id = 'ffffffff' WHERE id = '{0}'")]
    [TestCase("UPDATE secrets SET expires_at = NULL WHERE key_id = '{0}'")]
    [TestCase("UPDATE secrets SET digest = (SELECT digest FROM secrets WHERE key_id = '{1}') WHERE key_id = '{0}'")]
    [TestCase("UPDATE secrets SET version = 2 WHERE key_id = '{0}'")]
    [TestCase("INSERT INTO secrets (key_id, version, pepper_id, digest, created_at) SELECT key_id, 2, pepper_id, digest, created_at FROM secrets WHERE key_id = '{0}'")]
    public async Task An_edited_row_lets_nobody_in(string attack)
    {
        await AttackAsync(attack);

        await ExpectDoubtedAsync(Held, RowViolations.Forged);
        await ExpectBelievedAsync(Other);
    }

    [TestCase("UPDATE keys SET role = 'emperor' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET free_permissions = '[\"' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET free_permissions = 'null' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET metadata = '[]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET allowed_ips = '[\"everywhere\"]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET allowed_ips = 'null' WHERE id = '{0}'")]
    [TestCase("UPDATE secrets SET digest = substr(digest, 1, 7) WHERE key_id = '{0}'")]
    public Task A_row_that_cannot_be_read_holds_up_no_other(string attack) => ExpectThatAnUnreadableRowHoldsUpNoOtherAsync(attack);

    [Test]
    public async Task A_row_whose_id_cannot_be_read_holds_up_no_other()
    {
        await AttackAsync(
            "CREATE TABLE made AS SELECT * FROM keys WHERE id = '{1}'", "UPDATE made SET id = 'mine', created_seq = 77", "INSERT INTO keys SELECT * FROM made");

        var all = await Store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None);
        Assert.That(all.Select(row => (row.Seq, row.Key.IsDoubted)), Is.EqualTo(new[] { (77L, true), (2L, false), (1L, false) }));
        Assert.That(Store.Findings.Count, Is.EqualTo(1));
    }

    [Test]
    public async Task A_revoked_viewer_is_made_no_admin_by_an_update()
    {
        await Store.ChangeAsync(Held.Id, key => key.Revoke("system", null, 1, Store.Clock.GetUtcNow()));
        await AttackAsync("UPDATE keys SET role = 'admin', revoked_at = NULL WHERE id = '{0}'");

        await ExpectDoubtedAsync(Held, RowViolations.Forged);
        var read = (await Store.ReadAsync(Held.Id))!;
        Assert.That(read.Verify(Held.Token, HeldKey.Peppers, null, HeldKey.Start).Code, Is.EqualTo(VerdictCode.KeyDisabled));
    }

    [Test]
    public async Task An_older_row_that_Mira_wrote_is_refused_once_the_key_was_changed()
    {
        await AttackAsync("CREATE TABLE old_keys AS SELECT * FROM keys WHERE id = '{0}'", "CREATE TABLE old_secrets AS SELECT * FROM secrets WHERE key_id = '{0}'");
        await Store.ChangeAsync(Held.Id, key => key.Revoke("system", null, 1, Store.Clock.GetUtcNow()));
        await AttackAsync("DELETE FROM keys WHERE id = '{0}'", "INSERT INTO keys SELECT * FROM old_keys", "INSERT INTO secrets SELECT * FROM old_secrets");

        await ExpectDoubtedAsync(Held, RowViolations.Replayed);
    }

    [Test]
    public async Task Events_about_a_key_that_do_not_change_it_do_not_make_its_row_an_older_one()
    {
        await Store.ChangeAsync(change =>
        {
            foreach (var type in new[] { EventType.AuthFailed, EventType.LimitExceeded, EventType.IntegrityViolation })
            {
                change.Record(new PendingEvent(type, Actor.System, Held.Id.Value, null)
                {
                    Reason = RowViolations.Forged,
                    Aggregation = new Aggregation(3, HeldKey.Start, HeldKey.Start),
                });
            }

            return Task.CompletedTask;
        });

        await ExpectBelievedAsync(Held);
    }

    [Test]
    public async Task An_event_of_a_change_that_was_taken_back_binds_the_row_anew()
    {
        await Store.ChangeAsync(change =>
        {
            change.Record(new PendingEvent(EventType.KeyRotated, Actor.System, Held.Id.Value, null) { Outcome = "undone" });
            return Task.CompletedTask;
        });

        await ExpectBelievedAsync(Held);
    }

    [Test]
    public async Task Two_rows_that_have_changed_places_let_nobody_in()
    {
        await AttackAsync(
            "UPDATE keys SET role = (SELECT role FROM keys WHERE id = '{1}'), mac = (SELECT mac FROM keys WHERE id = '{1}'), name = 'admin', name_folded = 'admin', "
            + "owner = NULL, owner_folded = NULL, changed_seq = 2 WHERE id = '{0}'");

        await ExpectDoubtedAsync(Held, RowViolations.Forged);
    }

    [Test]
    public async Task A_secret_moved_to_another_key_opens_neither()
    {
        await AttackAsync("UPDATE secrets SET key_id = '{1}', version = 2 WHERE key_id = '{0}'");

        await ExpectDoubtedAsync(Other, RowViolations.Forged);
        await ExpectDoubtedAsync(Held, RowViolations.Forged);
    }

    [Test]
    public async Task A_row_that_was_deleted_is_told_of()
    {
        await AttackAsync("DELETE FROM keys WHERE id = '{0}'");

        Assert.That(await Store.ReadAsync(Held.Id), Is.Null);
        Assert.That(Store.Findings.Find(Held.Id), Is.EqualTo(RowViolations.Deleted));
    }

    [Test]
    public async Task A_row_that_was_put_in_lets_nobody_in()
    {
        var made = new HeldKey(Role.Admin);
        await AttackAsync(
            "CREATE TABLE made AS SELECT * FROM keys WHERE id = '{1}'", $"UPDATE made SET id = '{made.Id}', created_seq = 77", "INSERT INTO keys SELECT * FROM made",
            $"INSERT INTO secrets (key_id, version, pepper_id, digest, created_at) SELECT '{made.Id}', 1, pepper_id, digest, created_at FROM secrets WHERE key_id = '{{0}}'");

        await ExpectDoubtedAsync(made, RowViolations.Forged);
    }

    [Test]
    public async Task A_row_that_is_not_believed_is_never_signed_again()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");

        await Store.ChangeAsync(Held.Id, key => key.Update(new KeyUpdate { Name = "mine" }, 1, Store.Clock.GetUtcNow()));
        await Store.Usage.WriteAsync([RenewalOf(Held)], CancellationToken.None);
        await Store.ChangeAsync(async change =>
        {
            // By a way of its own, as a mirror is written.
            var key = ((SqlLedgerChange)change).Database.Keys.Single(key => key.Id == Held.Id);
            key.Quarantine("by hand", []);
            await Task.CompletedTask;
        });

        var read = (await Store.ReadAsync(Held.Id))!;
        Assert.That((read.IsDoubted, read.Name, read.IsQuarantined), Is.EqualTo((true, "billing", false)));
        Assert.That((await Store.HeadAsync()).Seq, Is.EqualTo(2), "and nothing is recorded as if it had happened");
    }

    [Test]
    public async Task A_row_that_is_put_back_is_believed_again()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");
        await ExpectDoubtedAsync(Held, RowViolations.Forged);
        await AttackAsync("UPDATE keys SET role = 'viewer' WHERE id = '{0}'");

        await ExpectBelievedAsync(Held);
    }

    [Test]
    public async Task An_admin_who_was_made_in_the_database_does_not_count_as_one()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");

        await Store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(Other.Id), Is.Zero));
        await Store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(Held.Id), Is.EqualTo(1)));
    }

    [Test]
    public async Task A_digest_renewed_under_another_pepper_is_signed_for_with_its_row()
    {
        await Store.Usage.WriteAsync([RenewalOf(Held)], CancellationToken.None);

        Assert.That((await Store.ReadAsync(Held.Id))!.Current.PepperId, Is.EqualTo(HeldKey.PepperOf(2).Id));
        await ExpectBelievedAsync(Held);
    }

    [Test]
    public async Task A_cold_read_is_one_statement()
    {
        await Store.ReadAsync(Held.Id);
        var before = Store.Watch.Count;
        await Store.ReadAsync(Held.Id);

        Assert.That(Store.Watch.Count - before, Is.EqualTo(1));
    }
}
