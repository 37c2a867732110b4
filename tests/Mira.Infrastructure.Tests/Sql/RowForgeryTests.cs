using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;

namespace Mira.Infrastructure.Tests.Sql;

/// <summary>What somebody writes into the tables of keys who has the database and no pepper.</summary>
[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class RowForgeryTests(StoreKind kind) : IDisposable
{
    private Store _store = null!;
    private HeldKey _held = null!;
    private HeldKey _other = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _held = new HeldKey(Role.Viewer, owner: "team");
        _other = new HeldKey(Role.Admin, name: "admin");
        await _store.AddAsync(_held);
        await _store.AddAsync(_other);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task What_Mira_wrote_is_believed_whatever_it_did()
    {
        await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = "é", Metadata = new Dictionary<string, string> { ["b"] = "1", ["a"] = "2" } }, 1, _store.Clock.GetUtcNow()));
        await _store.ChangeAsync(_held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromHours(1)), _store.Clock.GetUtcNow()));
        await _store.ChangeAsync(_held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.Zero, 5), _store.Clock.GetUtcNow()));
        await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, _store.Clock.GetUtcNow()));
        await _store.ChangeAsync(_held.Id, key => key.Revoke("system", "tidy", 1, _store.Clock.GetUtcNow()));

        await ExpectBelievedAsync(_held);
        await ExpectBelievedAsync(_other);
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

        await ExpectDoubtedAsync(_held, RowFindings.Forged);
        await ExpectBelievedAsync(_other);
    }

    [TestCase("UPDATE keys SET role = 'emperor' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET free_permissions = '[\"' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET free_permissions = 'null' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET metadata = '[]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET allowed_ips = '[\"everywhere\"]' WHERE id = '{0}'")]
    [TestCase("UPDATE keys SET allowed_ips = 'null' WHERE id = '{0}'")]
    [TestCase("UPDATE secrets SET digest = substr(digest, 1, 7) WHERE key_id = '{0}'")]
    [TestCase("UPDATE keys SET version = 99999999999 WHERE id = '{0}'", StoreKind.Sqlite)]
    [TestCase("UPDATE keys SET version = 'two' WHERE id = '{0}'", StoreKind.Sqlite)]
    [TestCase("UPDATE keys SET created_at = 'then' WHERE id = '{0}'", StoreKind.Sqlite)]
    [TestCase("UPDATE keys SET name = x'ff00ff' WHERE id = '{0}'", StoreKind.Sqlite)]
    [TestCase("UPDATE secrets SET digest = 'short' WHERE key_id = '{0}'", StoreKind.Sqlite)]
    [TestCase("UPDATE secrets SET expires_at = x'00' WHERE key_id = '{0}'", StoreKind.Sqlite)]
    public async Task A_row_that_cannot_be_read_holds_up_no_other(string attack, StoreKind? only = null)
    {
        if (only is not null && only != kind)
            Assert.Ignore("The columns of this database have types.");
        await _store.AddAsync(new HeldKey(Role.Viewer, name: "last"));
        await AttackAsync(attack);

        await ExpectDoubtedAsync(_held, RowFindings.Forged);
        await ExpectBelievedAsync(_other);
        var all = await _store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None);
        Assert.That(all.Select(row => (row.Seq, row.Key.IsDoubted)), Is.EqualTo(new[] { (3L, false), (2L, false), (1L, true) }));
        await _store.ChangeAsync(_held.Id, key => Assert.That(key.IsDoubted));
        await _store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(_held.Id), Is.EqualTo(1)));
        await _store.Usage.WriteAsync([RenewalOf(_held), RenewalOf(_other)], CancellationToken.None);
        Assert.That((await _store.ReadAsync(_other.Id))!.Current.PepperId, Is.EqualTo(HeldKey.PepperOf(2).Id));
    }

    [Test]
    public async Task A_row_whose_id_cannot_be_read_holds_up_no_other()
    {
        await AttackAsync(
            "CREATE TABLE made AS SELECT * FROM keys WHERE id = '{1}'", "UPDATE made SET id = 'mine', created_seq = 77", "INSERT INTO keys SELECT * FROM made");

        var all = await _store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None);
        Assert.That(all.Select(row => (row.Seq, row.Key.IsDoubted)), Is.EqualTo(new[] { (77L, true), (2L, false), (1L, false) }));
        Assert.That(_store.Findings.Count, Is.EqualTo(1));
    }

    [Test]
    public async Task A_revoked_viewer_is_made_no_admin_by_an_update()
    {
        await _store.ChangeAsync(_held.Id, key => key.Revoke("system", null, 1, _store.Clock.GetUtcNow()));
        await AttackAsync("UPDATE keys SET role = 'admin', revoked_at = NULL WHERE id = '{0}'");

        await ExpectDoubtedAsync(_held, RowFindings.Forged);
        var read = (await _store.ReadAsync(_held.Id))!;
        Assert.That(read.Verify(_held.Token, HeldKey.Peppers, null, HeldKey.Start).Code, Is.EqualTo(VerdictCode.KeyDisabled));
    }

    [Test]
    public async Task An_older_row_that_Mira_wrote_is_refused_once_the_key_was_changed()
    {
        await AttackAsync("CREATE TABLE old_keys AS SELECT * FROM keys WHERE id = '{0}'", "CREATE TABLE old_secrets AS SELECT * FROM secrets WHERE key_id = '{0}'");
        await _store.ChangeAsync(_held.Id, key => key.Revoke("system", null, 1, _store.Clock.GetUtcNow()));
        await AttackAsync("DELETE FROM keys WHERE id = '{0}'", "INSERT INTO keys SELECT * FROM old_keys", "INSERT INTO secrets SELECT * FROM old_secrets");

        await ExpectDoubtedAsync(_held, RowFindings.Replayed);
    }

    [Test]
    public async Task Events_about_a_key_that_do_not_change_it_do_not_make_its_row_an_older_one()
    {
        await _store.ChangeAsync(change =>
        {
            foreach (var type in new[] { EventType.AuthFailed, EventType.LimitExceeded, EventType.IntegrityViolation })
            {
                change.Record(new EventDraft(type, Actor.System, _held.Id.Value, null)
                {
                    Reason = RowFindings.Forged,
                    Gathered = new Gathering(3, HeldKey.Start, HeldKey.Start),
                });
            }

            return Task.CompletedTask;
        });

        await ExpectBelievedAsync(_held);
    }

    [Test]
    public async Task An_event_of_a_change_that_was_taken_back_binds_the_row_anew()
    {
        await _store.ChangeAsync(change =>
        {
            change.Record(new EventDraft(EventType.KeyRotated, Actor.System, _held.Id.Value, null) { Outcome = "undone" });
            return Task.CompletedTask;
        });

        await ExpectBelievedAsync(_held);
    }

    [Test]
    public async Task Two_rows_that_have_changed_places_let_nobody_in()
    {
        await AttackAsync(
            "UPDATE keys SET role = (SELECT role FROM keys WHERE id = '{1}'), mac = (SELECT mac FROM keys WHERE id = '{1}'), name = 'admin', name_folded = 'admin', "
            + "owner = NULL, owner_folded = NULL, changed_seq = 2 WHERE id = '{0}'");

        await ExpectDoubtedAsync(_held, RowFindings.Forged);
    }

    [Test]
    public async Task A_secret_moved_to_another_key_opens_neither()
    {
        await AttackAsync("UPDATE secrets SET key_id = '{1}', version = 2 WHERE key_id = '{0}'");

        await ExpectDoubtedAsync(_other, RowFindings.Forged);
        await ExpectDoubtedAsync(_held, RowFindings.Forged);
    }

    [Test]
    public async Task A_row_that_was_deleted_is_told_of()
    {
        await AttackAsync("DELETE FROM keys WHERE id = '{0}'");

        Assert.That(await _store.ReadAsync(_held.Id), Is.Null);
        Assert.That(_store.Findings.Find(_held.Id), Is.EqualTo(RowFindings.Deleted));
    }

    [Test]
    public async Task A_row_that_was_put_in_lets_nobody_in()
    {
        var made = new HeldKey(Role.Admin);
        await AttackAsync(
            "CREATE TABLE made AS SELECT * FROM keys WHERE id = '{1}'", $"UPDATE made SET id = '{made.Id}', created_seq = 77", "INSERT INTO keys SELECT * FROM made",
            $"INSERT INTO secrets (key_id, version, pepper_id, digest, created_at) SELECT '{made.Id}', 1, pepper_id, digest, created_at FROM secrets WHERE key_id = '{{0}}'");

        await ExpectDoubtedAsync(made, RowFindings.Forged);
    }

    [Test]
    public async Task A_row_that_is_not_believed_is_never_signed_again()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");

        await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = "mine" }, 1, _store.Clock.GetUtcNow()));
        await _store.Usage.WriteAsync([RenewalOf(_held)], CancellationToken.None);
        await _store.ChangeAsync(async change =>
        {
            // By a way of its own, as a mirror is written.
            var key = ((SqlLedgerChange)change).Database.Keys.Single(key => key.Id == _held.Id);
            key.Withhold("by hand", []);
            await Task.CompletedTask;
        });

        var read = (await _store.ReadAsync(_held.Id))!;
        Assert.That((read.IsDoubted, read.Name, read.IsWithheld), Is.EqualTo((true, "billing", false)));
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(2), "and nothing is recorded as if it had happened");
    }

    [Test]
    public async Task A_row_that_is_put_back_is_believed_again()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");
        await ExpectDoubtedAsync(_held, RowFindings.Forged);
        await AttackAsync("UPDATE keys SET role = 'viewer' WHERE id = '{0}'");

        await ExpectBelievedAsync(_held);
    }

    [Test]
    public async Task An_admin_who_was_made_in_the_database_does_not_count_as_one()
    {
        await AttackAsync("UPDATE keys SET role = 'admin' WHERE id = '{0}'");

        await _store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(_other.Id), Is.Zero));
        await _store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(_held.Id), Is.EqualTo(1)));
    }

    [Test]
    public async Task A_digest_renewed_under_another_pepper_is_signed_for_with_its_row()
    {
        await _store.Usage.WriteAsync([RenewalOf(_held)], CancellationToken.None);

        Assert.That((await _store.ReadAsync(_held.Id))!.Current.PepperId, Is.EqualTo(HeldKey.PepperOf(2).Id));
        await ExpectBelievedAsync(_held);
    }

    [Test]
    public async Task A_cold_read_is_one_statement()
    {
        await _store.ReadAsync(_held.Id);
        var before = _store.Watch.Count;
        await _store.ReadAsync(_held.Id);

        Assert.That(_store.Watch.Count - before, Is.EqualTo(1));
    }

    private SecretUse RenewalOf(HeldKey held) => new(held.Id, held.Key.Current) { Renewal = new Renewal(new PepperRing(HeldKey.PepperOf(2)).Seal(held.Token)) };

    private async Task AttackAsync(params string[] statements)
    {
        await using var connection = _store.Connect();
        foreach (var statement in statements)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = statement.Replace("{0}", _held.Id.Value, StringComparison.Ordinal).Replace("{1}", _other.Id.Value, StringComparison.Ordinal);
            await command.ExecuteNonQueryAsync();
        }
    }

    private async Task ExpectDoubtedAsync(HeldKey held, string finding)
    {
        var read = await _store.ReadAsync(held.Id);
        Assert.That(read?.IsDoubted, Is.True);
        Assert.That(read!.Verify(held.Token, HeldKey.Peppers, null, HeldKey.Start).IsValid, Is.False);
        Assert.That(read.IsActiveAdmin(HeldKey.Start), Is.False);
        Assert.That(_store.Findings.Find(held.Id), Is.EqualTo(finding));
        Assert.That(_store.Gathered.Take().Select(one => (one.Group.Reason, one.Group.Subject)), Does.Contain((finding, held.Id.Value)));
        Assert.That((await _store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None)).Where(row => row.Key.IsDoubted).Select(row => row.Key.Id), Does.Contain(held.Id));
    }

    private async Task ExpectBelievedAsync(HeldKey held) => Assert.That((await _store.ReadAsync(held.Id))!.IsDoubted, Is.False);
}
