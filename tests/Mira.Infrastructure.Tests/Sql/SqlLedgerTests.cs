using Mira.Application.Ledger;
using Mira.Application.Pipeline;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Moq;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
[TestFixture(StoreKind.Airtable)]
public sealed class SqlLedgerTests(StoreKind kind) : IDisposable
{
    private static readonly IdempotentRequest IdempotentRequest = new("mira_key_000000000001", "once", "ab");

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
    public async Task A_key_is_read_as_it_was_saved()
    {
        var range = IpRange.TryParse("10.0.0.0/8", out var parsed) ? parsed : throw new FormatException();
        var full = new HeldKey(new KeyTerms
        {
            Name = "Café",
            Role = Role.Admin,
            LifetimeDays = null,
            Owner = "team",
            Permissions = ["documents:*"],
            Metadata = new Dictionary<string, string> { ["env"] = "prod" },
            RateLimitPerMinute = 5,
            AllowedIps = [range],
        });
        await _store.AddAsync(full);
        await _store.ChangeAsync(full.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(5)), HeldKey.Start));
        await _store.ChangeAsync(full.Id, key => key.Revoke("mira_key_000000000001", "leak", 1, HeldKey.Start.AddMinutes(1)));

        var read = (await _store.ReadAsync(full.Id))!;

        Assert.That((read.Name, read.Role, read.Owner, read.RateLimitPerMinute, read.LifetimeDays), Is.EqualTo(("Café", Role.Admin, "team", (int?)5, (int?)null)));
        Assert.That(read.FreePermissions, Is.EqualTo(new[] { "documents:*" }));
        Assert.That(read.Metadata, Is.EqualTo(new Dictionary<string, string> { ["env"] = "prod" }));
        Assert.That(read.AllowedIps, Is.EqualTo(new[] { range }));
        Assert.That((read.CreatedAt, read.CreatedBy, read.RotatedAt), Is.EqualTo((HeldKey.Start, "system", (DateTimeOffset?)HeldKey.Start)));
        Assert.That((read.RevokedAt, read.RevokedBy, read.RevokedReason), Is.EqualTo(((DateTimeOffset?)HeldKey.Start.AddMinutes(1), "mira_key_000000000001", "leak")));
        Assert.That((read.Version, read.IsDisabled), Is.EqualTo((3, false)));
        Assert.That(read.Secrets.Select(secret => (secret.Version, secret.ValidUntil)), Is.EqualTo(new[] { (1, (DateTimeOffset?)HeldKey.Start.AddMinutes(5)), (2, null) }));
        Assert.That(read.Verify(full.Token, HeldKey.Peppers, System.Net.IPAddress.Parse("10.1.1.1"), HeldKey.Start).Code, Is.EqualTo(VerdictCode.KeyRevoked));
    }

    [Test]
    public async Task Every_change_is_chained_to_the_one_before_it()
    {
        for (var i = 0; i < 5; i++)
            await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = $"name {i}", Disabled = i % 2 == 0 }, 1, HeldKey.Start));

        var last = LedgerPosition.Start;
        foreach (var entry in await _store.EventsAsync())
        {
            Assert.That(entry.Follows(last), $"at {entry.Seq}");
            last = entry.Position;
        }

        Assert.That(last, Is.EqualTo(await _store.HeadAsync()));
        Assert.That(_store.Follower.Seen, Is.EqualTo(last));
        Assert.That(last.Seq, Is.EqualTo(11), "one of the issue, two of each update");
    }

    [Test]
    public async Task An_event_says_who_what_and_when()
    {
        var actor = new Actor("mira_key_000000000001", "ops", "admin", "203.0.113.7", "curl");
        _store.Scope.Enter(Mock.Of<ICaller>(caller => caller.Actor == actor && caller.CorrelationId == "abc"));
        _store.Clock.Advance(TimeSpan.FromSeconds(1) + TimeSpan.FromTicks(1));

        await _store.ChangeAsync(async change => (await change.FindKeyAsync(_held.Id))!.Revoke("me", "leak", 1, change.Now));

        var entry = (await _store.EventsAsync())[^1];
        Assert.That((entry.Type, entry.ActorKeyId, entry.Subject), Is.EqualTo(("key.revoked", "mira_key_000000000001", _held.Id.Value)));
        Assert.That(entry.At, Is.EqualTo(HeldKey.Start.AddSeconds(1)), "to the millisecond");
        Assert.That(entry.Body, Does.Contain("\"correlation_id\":\"abc\"").And.Contain("\"reason\":\"leak\""));
        Assert.That((await _store.ReadAsync(_held.Id))!.RevokedAt, Is.EqualTo(entry.At));
    }

    [Test]
    public async Task Events_of_several_keys_are_committed_together()
    {
        HeldKey[] three = [new(), new(), new()];
        await _store.AddAsync(three);

        var events = (await _store.EventsAsync()).Skip(1).ToList();
        Assert.That(events.Select(entry => entry.Subject), Is.EquivalentTo(three.Select(held => held.Id.Value)));
        Assert.That(events.Select(entry => entry.Seq), Is.EqualTo(new[] { 2, 3, 4 }));
        var found = await _store.Keys.FindAsync(new KeyFilters().All, CancellationToken.None);
        Assert.That(found.Select(row => row.Seq), Is.EqualTo(new[] { 4, 3, 2, 1 }), "a cursor of its own for each");
    }

    [Test]
    public async Task An_event_of_the_system_is_about_no_key()
    {
        await _store.ChangeAsync(change =>
        {
            change.Record(new KeyEvent(EventType.SystemStarted, null, []));
            return Task.CompletedTask;
        });

        Assert.That((await _store.EventsAsync())[^1], Has.Property("Type").EqualTo("system.started").And.Property("Subject").Null);
    }

    [Test]
    public async Task A_change_that_does_nothing_writes_nothing()
    {
        await _store.ChangeAsync(_held.Id, key => key.Update(
            new KeyUpdate { Metadata = new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" }, Owner = "me" }, 1, HeldKey.Start));
        var before = await _store.DumpAsync();

        await _store.ChangeAsync(_held.Id, key => key.Update(new KeyUpdate { Name = key.Name, Disabled = false }, 1, HeldKey.Start));
        await _store.ChangeAsync(_held.Id, key => key.Update(
            new KeyUpdate { Metadata = new Dictionary<string, string> { ["b"] = "2", ["a"] = "1" } }, 1, HeldKey.Start));
        await _store.ChangeAsync(change => change.FindKeyAsync(_held.Id));

        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
    }

    [TestCase("INSERT INTO keys")]
    [TestCase("INSERT INTO secrets")]
    [TestCase("INSERT INTO ledger")]
    [TestCase("UPDATE ledger_head")]
    [TestCase("INSERT INTO answers")]
    public async Task A_step_that_fails_leaves_nothing_of_all_the_others(string step)
    {
        var before = await _store.DumpAsync();
        var reached = 0;
        _store.Watch.Fails = sql => sql.Replace("\"", "", StringComparison.Ordinal).Contains(step, StringComparison.Ordinal) && ++reached > 0;

        Assert.That(() => _store.ChangeAsync(Everything), Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(reached, Is.EqualTo(1));
        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
        _store.Watch.Fails = null;
        await _store.ChangeAsync(Everything);
        Assert.That((await _store.HeadAsync()).Seq, Is.EqualTo(2), "no gap is left");
    }

    [Test]
    public async Task A_commit_that_fails_leaves_nothing_and_is_not_shown()
    {
        var before = await _store.DumpAsync();
        _store.Saves.FailsCommit = true;

        Assert.That(() => _store.ChangeAsync(Everything), Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(_store.Follower.Seen.Seq, Is.EqualTo(1));
        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task A_refusal_by_the_domain_leaves_nothing()
    {
        var before = await _store.DumpAsync();

        Assert.That(
            () => _store.ChangeAsync(async change =>
            {
                change.Add(new HeldKey().Key);
                (await change.FindKeyAsync(_held.Id))!.Revoke("me", null, 0, HeldKey.Start);
                throw new LastAdminException(_held.Id);
            }),
            Throws.TypeOf<LastAdminException>());

        Assert.That(await _store.DumpAsync(), Is.EqualTo(before));
        Assert.That(_store.Gate.IsWritable, "the database has nothing to do with it");
    }

    [Test]
    public async Task What_was_committed_is_known_to_the_cache_before_the_answer()
    {
        await _store.Directory.FindAsync(_held.Id);

        await _store.ChangeAsync(_held.Id, key => key.Revoke("me", null, 1, HeldKey.Start));

        Assert.That((await _store.Directory.FindAsync(_held.Id)).Key!.RevokedAt, Is.Not.Null);
    }

    [Test]
    public async Task What_another_writer_committed_before_is_caught_up_with()
    {
        using var other = new OtherNode(_store);
        await other.AddAsync(new HeldKey());
        Assert.That(_store.Follower.Seen.Seq, Is.EqualTo(1));

        await _store.AddAsync(new HeldKey());

        Assert.That(_store.Follower.Seen, Is.EqualTo(await _store.HeadAsync()));
        Assert.That(_store.Follower.IsBroken, Is.False);
    }

    [Test]
    public async Task A_lock_that_another_process_holds_ends_in_a_refusal_within_seconds()
    {
        var other = await _store.LockAsync();
        var started = TimeProvider.System.GetTimestamp();

        Assert.That(() => _store.AddAsync(new HeldKey()), Throws.TypeOf<LedgerUnavailableException>());

        Assert.That(TimeProvider.System.GetElapsedTime(started), Is.LessThan(TimeSpan.FromSeconds(8)));
        Assert.That(_store.Gate.IsWritable, Is.False);
        await other.DisposeAsync();
        await _store.AddAsync(new HeldKey());
        Assert.That(_store.Gate.IsWritable);
    }

    [Test]
    public async Task Reading_goes_on_while_another_process_writes()
    {
        await using var other = await _store.LockAsync();

        Assert.That(await _store.ReadAsync(_held.Id), Is.Not.Null);
    }

    [Test]
    public async Task Admins_are_counted_without_the_one_in_question_and_without_those_that_do_not_work()
    {
        HeldKey asked = new(Role.Admin), active = new(Role.Admin), expired = new(Role.Admin, days: 1), revoked = new(Role.Admin), disabled = new(Role.Admin), rotating = new(Role.Admin);
        await _store.AddAsync(asked, active, expired, revoked, disabled, rotating);
        await _store.ChangeAsync(revoked.Id, key => key.Revoke("me", null, 1, HeldKey.Start));
        await _store.ChangeAsync(disabled.Id, key => key.Update(new KeyUpdate { Disabled = true }, 1, HeldKey.Start));
        await _store.ChangeAsync(rotating.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromDays(9)), HeldKey.Start));
        _store.Clock.Advance(TimeSpan.FromDays(1));

        await _store.ChangeAsync(async change => Assert.That(await change.CountActiveAdminsAsync(asked.Id), Is.EqualTo(2)));
    }

    [Test]
    public async Task Whether_there_are_keys_is_told()
    {
        using var empty = await Store.OpenAsync(kind);

        await empty.ChangeAsync(async change => Assert.That(await change.HasKeysAsync(), Is.False));
        await _store.ChangeAsync(async change => Assert.That(await change.HasKeysAsync()));
    }

    private static Task Everything(ILedgerChange change)
    {
        change.Add(new HeldKey().Key);
        change.Remember(IdempotentRequest, "{}");
        return Task.CompletedTask;
    }
}
