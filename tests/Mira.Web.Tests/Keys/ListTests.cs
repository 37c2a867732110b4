using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>Finding keys: filters, pages, and what a page never shows.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class ListTests : SharedHost
{
    private static readonly string[] Fields =
    [
        "key_id", "name", "role", "status", "owner", "permissions", "metadata", "rate_limit_per_minute", "allowed_ips", "created_at", "created_by",
        "expires_at", "last_used_at", "rotated_at", "revoked_at", "revoked_by", "revoked_reason", "version", "secrets",
    ];

    private static readonly string[] SecretFields = ["version", "created_at", "expires_at", "valid_until", "last_used_at"];

    [Test]
    public async Task A_view_has_exactly_the_fields_of_the_contract()
    {
        var made = await CreateAsync(owner: Unique());
        await Admin.RotateKeyAsync(made.KeyId);
        var one = (await AdminHttp.CallAsync("GET", $"/api/keys/{made.KeyId}")).Json;
        var page = (await AdminHttp.CallAsync("GET", $"/api/keys?q={made.KeyId}")).Json;

        using var scope = Assert.EnterMultipleScope();
        Assert.That(page.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(new[] { "keys", "next_cursor" }));
        foreach (var view in new[] { one, page.GetProperty("keys")[0] })
        {
            Assert.That(view.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(Fields));
            Assert.That(view.GetProperty("secrets").EnumerateArray().Select(secret => secret.EnumerateObject().Select(field => field.Name)), Has.All.EquivalentTo(SecretFields));
            Assert.That(view.GetProperty("secrets").GetArrayLength(), Is.EqualTo(2));
        }
    }

    [Test]
    public async Task The_role_filter_shows_that_role_alone()
    {
        var owner = Unique();
        foreach (var role in new[] { "viewer", "operator", "viewer" })
            await CreateAsync(role, owner);

        Assert.That((await Admin.ListKeysAsync(role: "viewer", owner: owner)).Keys.Select(key => key.Role), Is.EqualTo(new[] { "viewer", "viewer" }));
        Assert.That((await Admin.ListKeysAsync(role: "operator", owner: owner)).Keys, Has.Count.EqualTo(1));
        Assert.That((await Admin.ListKeysAsync(role: "admin", owner: owner)).Keys, Is.Empty);
    }

    [Test]
    public async Task The_status_filter_and_the_status_shown_agree()
    {
        var owner = Unique();
        var expired = await CreateAsync(owner: owner, days: 1);
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        var active = await CreateAsync(owner: owner);
        var rotating = await CreateAsync(owner: owner);
        var disabled = await CreateAsync(owner: owner);
        var revoked = await CreateAsync(owner: owner);
        var dead = await CreateAsync(owner: owner);
        await Admin.RotateKeyAsync(rotating.KeyId);
        await Admin.UpdateKeyAsync(disabled.KeyId, new UpdateKey { Disabled = true });
        await Admin.RevokeKeyAsync(revoked.KeyId);
        await Admin.RotateKeyAsync(dead.KeyId);
        await Admin.UpdateKeyAsync(dead.KeyId, new UpdateKey { Disabled = true });
        await Admin.RevokeKeyAsync(dead.KeyId);

        using var scope = Assert.EnterMultipleScope();
        await ExpectAsync("expired", expired);
        await ExpectAsync("active", active);
        await ExpectAsync("rotating", rotating);
        await ExpectAsync("disabled", disabled);
        await ExpectAsync("revoked", dead, revoked);

        async Task ExpectAsync(string status, params CreatedKey[] keys)
        {
            var found = (await Admin.ListKeysAsync(status: status, owner: owner)).Keys;
            Assert.That(found.Select(key => (key.KeyId, key.Status)), Is.EqualTo(keys.Select(key => (key.KeyId, status))));
        }
    }

    [Test]
    public async Task The_owner_filter_takes_the_whole_owner()
    {
        var owner = Unique();
        var made = await CreateAsync(owner: $"{owner} Ame\u0301lie");
        Assert.That((await Admin.ListKeysAsync(owner: $"{owner} Am\u00e9lie")).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { made.KeyId }));
        Assert.That((await Admin.ListKeysAsync(owner: owner)).Keys, Is.Empty);
    }

    [TestCase("Grüße an ÄRGER", "grÜßE AN äRG")]
    [TestCase("Ключ от города", "кЛЮЧ ОТ")]
    [TestCase("ΟΔΟΣ", "οδος")]
    [TestCase("Caf\u00e9", "cafe\u0301")]
    [TestCase("𐐀𐐁", "𐐨𐐩")]
    [TestCase("100% sure_thing", "100% SURE_T")]
    public async Task Text_is_found_in_any_case_in_names_and_owners(string text, string q)
    {
        var mark = Unique();
        var named = await CreateAsync(name: $"{mark} {text}");
        var owned = await CreateAsync(owner: $"{mark} {text}");

        var found = await Admin.ListKeysAsync(q: $"{mark.ToUpperInvariant()} {q}");
        Assert.That(found.Keys.Select(key => key.KeyId), Is.EqualTo(new[] { owned.KeyId, named.KeyId }));
    }

    [TestCase("%")]
    [TestCase("_")]
    [TestCase("*")]
    [TestCase("'")]
    public async Task Text_to_find_has_no_wildcards(string q)
    {
        var mark = Unique();
        await CreateAsync(name: $"{mark} x");
        Assert.That((await Admin.ListKeysAsync(q: $"{mark}{q}")).Keys, Is.Empty);
        Assert.That((await Admin.ListKeysAsync(q: $"{mark} {q}")).Keys, Is.Empty);
    }

    [Test]
    public async Task A_key_is_found_by_the_start_of_its_id_and_not_by_its_middle()
    {
        var made = await CreateAsync();
        Assert.That((await Admin.ListKeysAsync(q: made.KeyId[..18])).Keys.Select(key => key.KeyId), Does.Contain(made.KeyId));
        Assert.That((await Admin.ListKeysAsync(q: made.KeyId)).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { made.KeyId }));
        Assert.That((await Admin.ListKeysAsync(q: made.KeyId[4..])).Keys, Is.Empty);
        Assert.That((await Admin.ListKeysAsync(q: made.ApiKey![..40])).Keys, Is.Empty);
    }

    [Test]
    public async Task Filters_are_joined_by_and()
    {
        var owner = Unique();
        await CreateAsync("operator", owner, name: "alpha");
        var wanted = await CreateAsync("viewer", owner, name: "alpha");
        await CreateAsync("viewer", owner, name: "beta");
        Assert.That((await Admin.ListKeysAsync("viewer", "active", owner, "ALPHA")).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { wanted.KeyId }));
    }

    [Test]
    public async Task Pages_stay_together_while_keys_are_made()
    {
        var owner = Unique();
        var made = new List<string>();
        for (var i = 0; i < 5; i++)
            made.Add((await CreateAsync(owner: owner)).KeyId);

        var seen = new List<string>();
        string? cursor = null;
        do
        {
            var page = await Admin.ListKeysAsync(owner: owner, limit: 2, cursor: cursor);
            Assert.That(page.Keys, Has.Count.LessThanOrEqualTo(2));
            seen.AddRange(page.Keys.Select(key => key.KeyId));
            cursor = page.NextCursor;
            await CreateAsync(owner: owner);
        }
        while (cursor is not null);

        Assert.That(seen, Is.EqualTo(Enumerable.Reverse(made)));
    }

    [Test]
    public async Task The_last_page_says_that_it_is_the_last()
    {
        var owner = Unique();
        await CreateAsync(owner: owner);
        await CreateAsync(owner: owner);
        Assert.That((await Admin.ListKeysAsync(owner: owner, limit: 2)).NextCursor, Is.Null);
        Assert.That((await Admin.ListKeysAsync(owner: owner, limit: 1)).NextCursor, Is.Not.Null);
    }

    [Test]
    public async Task A_page_holds_fifty_keys_unless_told()
    {
        var owner = Unique();
        await Task.WhenAll(Enumerable.Range(0, 51).Select(_ => CreateAsync(owner: owner)));
        Assert.That((await Admin.ListKeysAsync(owner: owner)).Keys, Has.Count.EqualTo(50));
        Assert.That((await Admin.ListKeysAsync(owner: owner, limit: 200)).Keys, Has.Count.EqualTo(51));
    }

    [TestCase("limit=0", "limit")]
    [TestCase("limit=201", "limit")]
    [TestCase("limit=-1", "limit")]
    [TestCase("limit=ten", "limit")]
    [TestCase("limit=1.0", "limit")]
    [TestCase("limit=%2B1", "limit")]
    [TestCase("limit=99999999999999999999", "limit")]
    [TestCase("role=root", "role")]
    [TestCase("role=Viewer", "role")]
    [TestCase("status=gone", "status")]
    [TestCase("status=Active", "status")]
    [TestCase("owner=a%0Ab", "owner")]
    [TestCase("cursor=x", "cursor")]
    [TestCase("cursor=ZToxMA", "cursor")]
    [TestCase("cursor=azotMQ", "cursor")]
    [TestCase("cursor=%F0%9F%94%91", "cursor")]
    [TestCase("role=viewer&role=viewer", "role")]
    [TestCase("limit=5&LIMIT=6", "LIMIT")]
    [TestCase("q=a&q=b", "q")]
    [TestCase("q=a%00b", "q")]
    [TestCase("unknown=1&unknown=2", "unknown")]
    public async Task A_parameter_that_cannot_be_right_is_refused(string query, string field)
    {
        var answer = await AdminHttp.CallAsync("GET", $"/api/keys?{query}");
        Assert.That(answer.Verdict, Is.EqualTo("400 invalid_parameter"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
    }

    [Test]
    public async Task A_text_too_long_to_be_looked_for_is_refused() =>
        Assert.That((await AdminHttp.CallAsync("GET", $"/api/keys?q={new string('x', 201)}")).Verdict, Is.EqualTo("400 invalid_parameter"));
}
