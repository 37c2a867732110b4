using Microsoft.Extensions.Logging.Abstractions;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Background;
using Mira.Infrastructure.Sql;
using Mira.Infrastructure.Start;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Ledger;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
public sealed class RowVerificationTests(StoreKind kind) : IDisposable
{
    private const int Count = 7;

    private Store _store = null!;
    private List<HeldKey> _held = null!;

    [SetUp]
    public async Task SetUp()
    {
        _store = await Store.OpenAsync(kind);
        _held = [.. Enumerable.Range(0, Count).Select(number => new HeldKey(name: $"key {number}"))];
        foreach (var held in _held)
            await _store.AddAsync(held);
    }

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task What_nobody_calls_with_is_found_as_well()
    {
        await _store.AskAsync($"UPDATE keys SET role = 'admin' WHERE id = '{_held[3].Id}' RETURNING version");
        await _store.AskAsync($"DELETE FROM keys WHERE id = '{_held[5].Id}' RETURNING version");

        await LookThroughAsync(Make(_store.Rows));

        Assert.That(_store.Findings.Ids, Is.EquivalentTo(new[] { _held[3].Id, _held[5].Id }));
        Assert.That((_store.Findings.Find(_held[3].Id), _store.Findings.Find(_held[5].Id)), Is.EqualTo((RowViolations.Forged, RowViolations.Deleted)));
    }

    [Test]
    public async Task What_cannot_be_read_ends_no_look_through_all_records()
    {
        await _store.AskAsync($"UPDATE keys SET allowed_ips = 'anywhere' WHERE id = '{_held[3].Id}' RETURNING version");
        await _store.AskAsync($"DELETE FROM keys WHERE id = '{_held[5].Id}' RETURNING version");
        await _store.AskAsync("UPDATE ledger SET subject = 'nobody' WHERE seq = 2 RETURNING seq");

        var warm = await _store.Directory.FindAsync(_held[6].Id);
        using var check = Make(_store.Rows);
        await LookThroughAsync(check);
        Assert.That((_store.Findings.Find(_held[3].Id), _store.Findings.Find(_held[5].Id)), Is.EqualTo((RowViolations.Forged, RowViolations.Deleted)));
        Assert.That(await _store.Directory.FindAsync(_held[6].Id), Is.SameAs(warm));

        await _store.AskAsync($"UPDATE keys SET allowed_ips = '[]' WHERE id = '{_held[3].Id}' RETURNING version");
        await check.StepAsync(CancellationToken.None);
        Assert.That(_store.Findings.Find(_held[3].Id), Is.Null);
    }

    [Test]
    public async Task A_record_without_a_readable_id_is_found_until_it_is_gone()
    {
        await using (var connection = _store.Connect())
        {
            await using var command = connection.CreateCommand();
            command.CommandText = $"CREATE TABLE made AS SELECT * FROM keys WHERE id = '{_held[0].Id}'; UPDATE made SET id = 'mine', created_seq = 99; INSERT INTO keys SELECT * FROM made";
            await command.ExecuteNonQueryAsync();
        }

        using var check = Make(_store.Rows);
        await LookThroughAsync(check);
        Assert.That(_store.Findings.Ids, Is.EqualTo(new[] { default(KeyId) }));

        await _store.AskAsync("DELETE FROM keys WHERE id = 'mine' RETURNING version");
        await LookThroughAsync(check);
        Assert.That(_store.Findings.Count, Is.Zero);
    }

    [Test]
    public async Task A_warm_entry_of_a_row_that_was_edited_is_dropped()
    {
        var entry = await _store.Directory.FindAsync(_held[0].Id);
        await _store.AskAsync($"UPDATE keys SET role = 'admin' WHERE id = '{_held[0].Id}' RETURNING version");

        await LookThroughAsync(Make(_store.Rows));

        var read = await _store.Directory.FindAsync(_held[0].Id);
        Assert.That((entry.Key!.IsDoubted, read.Key!.IsDoubted), Is.EqualTo((false, true)));
    }

    [Test]
    public async Task A_row_that_is_put_back_is_let_in_at_the_next_step()
    {
        using var check = Make(_store.Rows);
        await _store.AskAsync($"UPDATE keys SET role = 'admin' WHERE id = '{_held[0].Id}' RETURNING version");
        await LookThroughAsync(check);
        Assert.That((await _store.Directory.FindAsync(_held[0].Id)).Key!.IsDoubted);

        await _store.AskAsync($"UPDATE keys SET role = 'operator' WHERE id = '{_held[0].Id}' RETURNING version");
        await check.StepAsync(CancellationToken.None);

        Assert.That(_store.Findings.Count, Is.Zero);
        Assert.That((await _store.Directory.FindAsync(_held[0].Id)).Key!.IsDoubted, Is.False);
    }

    [Test]
    public async Task Rows_under_a_pepper_that_goes_out_of_use_are_signed_with_the_next_one()
    {
        var next = new RowAuthenticator(new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1)));
        var needs = await _store.Sql.CountNeedsAsync(HeldKey.PepperOf(2).Id, HeldKey.Start, CancellationToken.None);
        Assert.That(needs, Is.EqualTo(new Dictionary<string, int> { [HeldKey.PepperOf(1).Id] = Count }));

        await LookThroughAsync(Make(next));

        var alone = new RowAuthenticator(new PepperRing(HeldKey.PepperOf(2)));
        await using var database = _store.CreateDbContext();
        var rows = await RowScan.PageAsync(database, 0, 100, CancellationToken.None);
        Assert.That(rows.Select(alone.Judge), Is.All.EqualTo(RowState.Right));
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(Count), "without an event");
    }

    [Test]
    public async Task A_row_that_is_not_believed_is_not_signed_with_the_next_pepper()
    {
        await _store.AskAsync($"UPDATE keys SET role = 'admin' WHERE id = '{_held[0].Id}' RETURNING version");
        var next = new RowAuthenticator(new PepperRing(HeldKey.PepperOf(2), HeldKey.PepperOf(1)), _store.Findings);

        await LookThroughAsync(Make(next));

        Assert.That(_store.Findings.Ids, Is.EqualTo(new[] { _held[0].Id }));
    }

    [Test]
    public async Task A_start_is_refused_while_live_rows_lie_under_a_pepper_that_is_not_listed()
    {
        await _store.AskAsync($"UPDATE secrets SET pepper_id = '{HeldKey.PepperOf(2).Id}' RETURNING version");

        Assert.That(
            () => _store.Sql.DemandPeppersAsync(new PepperRing(HeldKey.PepperOf(2)), HeldKey.Start, CancellationToken.None),
            Throws.TypeOf<Application.Settings.SettingException>().With.Message.Contains($"{Count} under {HeldKey.PepperOf(1).Id}"));
    }

    [Test]
    public async Task Rows_from_before_there_were_MACs_are_believed_and_signed_once()
    {
        await _store.AskAsync("UPDATE keys SET mac = NULL, mac_pepper_id = NULL, changed_seq = 0 RETURNING version");
        await OpenAsync();
        Assert.That(_store.Rows.IsStrict, Is.False);
        Assert.That((await _store.ReadAsync(_held[0].Id))!.IsDoubted, Is.False);
        await _store.ChangeAsync(_held[1].Id, key => key.Update(new KeyUpdate { Name = "new" }, 1, _store.Clock.GetUtcNow()));

        using var check = Make(_store.Rows);
        for (var step = 0; step < 30 && !_store.Rows.IsStrict; step++)
            await check.StepAsync(CancellationToken.None);

        Assert.That(_store.Rows.IsStrict);
        Assert.That((await _store.EventsAsync())[^1].Body, Does.Contain("key_rows_sealed"));
        foreach (var held in _held)
            Assert.That((await _store.ReadAsync(held.Id))!.IsDoubted, Is.False);

        // From now on it is a forger's, and a start does not take it for an older one.
        await _store.AskAsync($"UPDATE keys SET mac = NULL, mac_pepper_id = NULL WHERE id = '{_held[2].Id}' RETURNING version");
        await OpenAsync();
        Assert.That((await _store.ReadAsync(_held[2].Id))!.IsDoubted);
    }

    [Test]
    public async Task A_row_without_a_MAC_that_the_ledger_does_not_know_is_not_signed()
    {
        await _store.AskAsync("UPDATE keys SET mac = NULL, mac_pepper_id = NULL, changed_seq = 0 RETURNING version");
        var made = KeyId.Generate();
        await _store.AskAsync($"UPDATE secrets SET version = 9 WHERE key_id = '{_held[0].Id}' RETURNING version");
        await using (var connection = _store.Connect())
        {
            await using var command = connection.CreateCommand();
            command.CommandText =
                $"CREATE TABLE made AS SELECT * FROM keys WHERE id = '{_held[0].Id}'; UPDATE made SET id = '{made}', created_seq = 99; INSERT INTO keys SELECT * FROM made; "
                + $"INSERT INTO secrets (key_id, version, pepper_id, digest, created_at) SELECT '{made}', 1, pepper_id, digest, created_at FROM secrets WHERE key_id = '{_held[0].Id}'";
            await command.ExecuteNonQueryAsync();
        }

        await OpenAsync();
        using var check = Make(_store.Rows);
        for (var step = 0; step < 30 && !_store.Rows.IsStrict; step++)
            await check.StepAsync(CancellationToken.None);

        Assert.That((await _store.ReadAsync(made))!.IsDoubted);
        Assert.That(_store.Findings.Find(made), Is.EqualTo(RowViolations.Forged));
    }

    [Test]
    public async Task Rows_without_a_MAC_are_not_believed_beside_a_ledger_that_is_not_whole()
    {
        await _store.AskAsync("UPDATE keys SET mac = NULL, mac_pepper_id = NULL RETURNING version");
        await _store.AskAsync("UPDATE ledger SET body = 'x' WHERE seq = 2 RETURNING seq");

        await OpenAsync();
        Assert.That(_store.Rows.IsStrict);
        await OpenAsync(new RowOptions { TakesUnsigned = true });
        Assert.That(_store.Rows.IsStrict, Is.False, "he who has the settings says so");
    }

    private static async Task LookThroughAsync(RowVerification check)
    {
        var options = new RowOptions();
        TimeSpan pause;
        do
        {
            pause = await check.StepAsync(CancellationToken.None);
        }
        while (pause != options.Rest);
    }

    private RowVerification Make(RowAuthenticator seal) => new(
        _store, seal, _store.Findings, _store.Directory, _store.Gate, _store.Scopes, new RowOptions { Page = 3, Stretch = 4 }, _store.Clock,
        NullLogger<RowVerification>.Instance);

    private Task OpenAsync(RowOptions? options = null) => new RowMacStartup(
        _store, _store.Rows, _store.Reader, _store.Archive, Store.AuditKey, _store.Follower, options ?? new RowOptions(), NullLogger<RowMacStartup>.Instance)
        .OpenAsync(CancellationToken.None);
}
