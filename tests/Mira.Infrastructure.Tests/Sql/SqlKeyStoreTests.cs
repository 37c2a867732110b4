using Mira.Application.Ledger;
using Mira.Application.Verification;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Infrastructure.Tests.Sql;

[TestFixture(StoreKind.Sqlite)]
[TestFixture(StoreKind.Postgres)]
[TestFixture(StoreKind.Airtable)]
public sealed class SqlKeyStoreTests(StoreKind kind) : IDisposable
{
    private readonly KeyFilters _filters = new();
    private Store _store = null!;

    [SetUp]
    public async Task SetUp() => _store = await Store.OpenAsync(kind);

    [TearDown]
    public void Dispose() => _store.Dispose();

    [Test]
    public async Task A_key_and_the_position_of_the_ledger_come_in_one_statement()
    {
        var held = new HeldKey();
        await _store.AddAsync(held, new HeldKey());
        await _store.ChangeAsync(held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(5)), HeldKey.Start));
        var commands = _store.Watch.Count;

        var entry = await _store.Keys.ReadAsync(held.Id, CancellationToken.None);

        Assert.That(_store.Watch.Count - commands, Is.EqualTo(1));
        Assert.That(entry.AsOf, Is.EqualTo(3));
        Assert.That(entry.Id, Is.EqualTo(held.Id));
        Assert.That(entry.Key!.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 1, 2 }));
    }

    [Test]
    public async Task That_there_is_no_key_comes_with_the_position_in_one_statement_too()
    {
        await _store.AddAsync(new HeldKey());
        var commands = _store.Watch.Count;

        var entry = await _store.Keys.ReadAsync(KeyId.Generate(), CancellationToken.None);

        Assert.That(_store.Watch.Count - commands, Is.EqualTo(1));
        Assert.That(entry.Key, Is.Null);
        Assert.That(entry.AsOf, Is.EqualTo(1));
    }

    [Test]
    public void A_database_that_cannot_be_read_is_a_store_that_is_not_available()
    {
        _store.Watch.Fails = _ => true;

        Assert.That(() => _store.Keys.ReadAsync(KeyId.Generate(), CancellationToken.None), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(() => _store.Keys.FindAsync(_filters.All, CancellationToken.None), Throws.TypeOf<StoreUnavailableException>());
        Assert.That(() => _store.HeadAsync(), Throws.TypeOf<StoreUnavailableException>());
    }

    [Test]
    public async Task The_status_as_a_condition_agrees_with_the_status_of_each_key_at_every_moment([Values(1, 2, 3)] int seed)
    {
        var lives = new RandomLives(seed);
        var keys = lives.Make(60);
        await _store.AddAsync(keys);
        var statuses = new HashSet<KeyStatus>();

        foreach (var now in lives.Moments(keys, 25))
        {
            foreach (var status in Enum.GetValues<KeyStatus>())
            {
                var found = await _store.Keys.FindAsync(_filters.All with { Status = status, Now = now }, CancellationToken.None);
                var expected = keys.Where(key => key.StatusAt(now) == status).ToList();
                Assert.That(found.Select(row => row.Key.Id), Is.EquivalentTo(expected.Select(key => key.Id)), $"{status} at {now:O}");
                statuses.UnionWith(expected.Select(key => key.StatusAt(now)));
            }
        }

        Assert.That(statuses, Is.EquivalentTo(Enum.GetValues<KeyStatus>()), "every status was there");
    }

    [Test]
    public async Task The_number_of_active_admins_agrees_with_the_keys_at_every_moment([Values(4, 5)] int seed)
    {
        var lives = new RandomLives(seed);
        var keys = lives.Make(40);
        await _store.AddAsync(keys);

        foreach (var now in lives.Moments(keys, 10).Where(now => now > _store.Clock.GetUtcNow()).Order())
        {
            _store.Clock.SetUtcNow(now);
            await _store.ChangeAsync(async change =>
            {
                foreach (var except in keys.Take(5))
                {
                    Assert.That(
                        await change.CountActiveAdminsAsync(except.Id),
                        Is.EqualTo(keys.Count(key => key.Id != except.Id && key.IsActiveAdmin(change.Now))), $"at {now:O}");
                }
            });
        }
    }

    [Test]
    public async Task Lists_are_filtered_by_role_and_owner()
    {
        HeldKey mine = new(Role.Viewer, owner: "team"), yours = new(Role.Admin, owner: "TEAM"), nobodys = new(Role.Viewer);
        await _store.AddAsync(mine, yours, nobodys);

        Assert.That(await FindAsync(_filters.All with { Role = Role.Viewer }), Is.EquivalentTo(new[] { mine.Id, nobodys.Id }));
        Assert.That(await FindAsync(_filters.All with { Owner = "team" }), Is.EqualTo(new[] { mine.Id }));
        Assert.That(await FindAsync(_filters.All with { Role = Role.Admin, Owner = "team" }), Is.Empty);
    }

    [TestCase("bill", true)]
    [TestCase("LLING", true)]
    [TestCase("écologie", true)]
    [TestCase("E\u0301COL", true)]
    [TestCase("Payments", true)]
    [TestCase("", true)]
    [TestCase("%", false)]
    [TestCase("_", false)]
    [TestCase("b*", false)]
    [TestCase("'", false)]
    public async Task Text_is_looked_for_in_name_and_owner_in_any_case_and_as_it_is(string text, bool found)
    {
        await _store.AddAsync(new HeldKey(name: "Billing Écologie", owner: "team-payments"));

        Assert.That(await FindAsync(_filters.All with { Text = text }), Has.Count.EqualTo(found ? 1 : 0));
    }

    [Test]
    public async Task Text_is_looked_for_at_the_start_of_a_key_id_in_its_exact_case()
    {
        var held = new HeldKey();
        await _store.AddAsync(held, new HeldKey());
        var id = held.Id.Value;

        Assert.That(await FindAsync(_filters.All with { Text = id }), Is.EqualTo(new[] { held.Id }));
        Assert.That(await FindAsync(_filters.All with { Text = id[..18] }), Is.EqualTo(new[] { held.Id }));
        Assert.That(await FindAsync(_filters.All with { Text = id[1..] }), Is.Empty, "not in the middle");
        Assert.That(await FindAsync(_filters.All with { Text = id + "0" }), Is.Empty);
        Assert.That(await FindAsync(_filters.All with { Text = "mira_key_" }), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_changed_name_is_found_under_the_new_one_only()
    {
        var held = new HeldKey(name: "before", owner: "one");
        await _store.AddAsync(held);
        await _store.ChangeAsync(held.Id, key => key.Update(new KeyUpdate { Name = "after", Owner = (string?)null }, 1, HeldKey.Start));

        Assert.That(await FindAsync(_filters.All with { Text = "after" }), Has.Count.EqualTo(1));
        Assert.That(await FindAsync(_filters.All with { Text = "before" }), Is.Empty);
        Assert.That(await FindAsync(_filters.All with { Text = "one" }), Is.Empty);
    }

    [Test]
    public async Task A_viewer_finds_itself_and_the_keys_of_its_owner()
    {
        HeldKey self = new(Role.Viewer), sibling = new(owner: "team"), other = new(owner: "others");
        await _store.AddAsync(self, sibling, other);
        KeyFilter As(Role role, string? owner) => _filters.All with { Viewpoint = new Viewpoint(self.Id, role, owner) };

        Assert.That(await FindAsync(As(Role.Viewer, null)), Is.EqualTo(new[] { self.Id }));
        Assert.That(await FindAsync(As(Role.Viewer, "team")), Is.EquivalentTo(new[] { self.Id, sibling.Id }));
        Assert.That(await FindAsync(As(Role.Viewer, "team") with { Owner = "others" }), Is.Empty);
        Assert.That(await FindAsync(As(Role.Operator, null)), Has.Count.EqualTo(3));
    }

    [Test]
    public async Task Pages_follow_each_other_newest_first_whatever_is_made_meanwhile()
    {
        var keys = Enumerable.Range(0, 7).Select(_ => new HeldKey()).ToArray();
        foreach (var held in keys)
            await _store.AddAsync(held);

        var seen = new List<KeyId>();
        long? before = null;
        while (await _store.Keys.FindAsync(_filters.All with { Before = before, Limit = 3 }, CancellationToken.None) is { Count: > 0 } page)
        {
            seen.AddRange(page.Select(row => row.Key.Id));
            before = page[^1].Seq;
            await _store.AddAsync(new HeldKey());
        }

        Assert.That(seen, Is.EqualTo(keys.Reverse().Select(held => held.Id)));
    }

    [Test]
    public async Task A_listed_key_comes_with_all_its_secrets_in_order()
    {
        var held = new HeldKey();
        await _store.AddAsync(held);
        for (var i = 0; i < 2; i++)
            await _store.ChangeAsync(held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(5)), HeldKey.Start));

        var found = await _store.Keys.FindAsync(_filters.All, CancellationToken.None);

        Assert.That(found.Single().Key.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 1, 2, 3 }));
    }

    [Test]
    public async Task A_forgotten_secret_leaves_the_store_with_the_rotation()
    {
        var held = new HeldKey(days: null);
        await _store.AddAsync(held);
        for (var i = 0; i < 8; i++)
            await _store.ChangeAsync(held.Id, key => key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.Zero), HeldKey.Start.AddMinutes(i)));

        Assert.That((await _store.ReadAsync(held.Id))!.Secrets.Select(secret => secret.Version), Is.EqualTo(new[] { 4, 5, 6, 7, 8, 9 }));
    }

    private async Task<List<KeyId>> FindAsync(KeyFilter filter) =>
        [.. (await _store.Keys.FindAsync(filter, CancellationToken.None)).Select(row => row.Key.Id)];
}
