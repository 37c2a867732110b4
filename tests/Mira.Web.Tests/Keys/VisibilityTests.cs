using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>Who sees which keys.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class VisibilityTests : SharedHost
{
    [Test]
    public async Task A_viewer_without_an_owner_sees_itself_alone()
    {
        var viewer = await CreateAsync();
        var other = await CreateAsync();
        var client = Host.Client(viewer.ApiKey);

        Assert.That((await client.ListKeysAsync()).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { viewer.KeyId }));
        Assert.That((await client.GetKeyAsync(viewer.KeyId)).KeyId, Is.EqualTo(viewer.KeyId));
        Assert.That(await client.GetKeyAsync(other.KeyId).RefusalAsync(), Is.EqualTo("404 key_not_found"));
    }

    [Test]
    public async Task A_viewer_sees_the_keys_of_its_owner()
    {
        var owner = Unique();
        var viewer = await CreateAsync(owner: owner);
        var sister = await CreateAsync("admin", owner);
        var stranger = await CreateAsync(owner: Unique());
        var client = Host.Client(viewer.ApiKey);

        Assert.That((await client.ListKeysAsync()).Keys.Select(key => key.KeyId), Is.EqualTo(new[] { sister.KeyId, viewer.KeyId }));
        Assert.That((await client.GetKeyAsync(sister.KeyId)).Role, Is.EqualTo("admin"));
        Assert.That(await client.GetKeyAsync(stranger.KeyId).RefusalAsync(), Is.EqualTo("404 key_not_found"));
        Assert.That((await client.ListKeysAsync(q: stranger.KeyId)).Keys, Is.Empty);
    }

    [Test]
    public async Task An_owner_given_or_taken_counts_at_once()
    {
        var owner = Unique();
        var viewer = await CreateAsync();
        var sister = await CreateAsync(owner: owner);
        var client = Host.Client(viewer.ApiKey);
        Assert.That(await client.GetKeyAsync(sister.KeyId).RefusalAsync(), Is.EqualTo("404 key_not_found"));

        await Admin.UpdateKeyAsync(viewer.KeyId, new Client.UpdateKey { Owner = owner });
        Assert.That((await client.GetKeyAsync(sister.KeyId)).KeyId, Is.EqualTo(sister.KeyId));

        await Admin.UpdateKeyAsync(viewer.KeyId, new Client.UpdateKey { Clear = { "owner" } });
        Assert.That(await client.GetKeyAsync(sister.KeyId).RefusalAsync(), Is.EqualTo("404 key_not_found"));
    }

    [Test]
    public async Task Operators_and_admins_see_every_key()
    {
        var key = await CreateAsync(owner: Unique());
        foreach (var role in new[] { "operator", "admin" })
        {
            var client = Host.Client((await CreateAsync(role, Unique())).ApiKey);
            Assert.That((await client.GetKeyAsync(key.KeyId)).KeyId, Is.EqualTo(key.KeyId));
            Assert.That((await client.ListKeysAsync(q: key.KeyId)).Keys, Has.Count.EqualTo(1));
        }
    }

    [Test]
    public async Task A_hidden_key_and_none_have_the_same_answer()
    {
        var http = Host.Http((await CreateAsync()).ApiKey);
        var hidden = await http.CallAsync("GET", $"/api/keys/{(await CreateAsync()).KeyId}");
        var none = await http.CallAsync("GET", "/api/keys/mira_key_000000000000");

        Assert.That(none.Verdict, Is.EqualTo("404 key_not_found"));
        Assert.That(WithoutTrace(hidden), Is.EqualTo(WithoutTrace(none)));

        static string WithoutTrace(Reply answer) => answer.Text.Replace(answer.Field("trace_id")!, "", StringComparison.Ordinal);
    }

    [TestCase("mira_key_00000000000")]
    [TestCase("mira_key_0000000000000")]
    [TestCase("mira_key_00000000000!")]
    [TestCase("MIRA_KEY_000000000000")]
    [TestCase("x")]
    public async Task What_is_no_key_id_is_no_key(string id)
    {
        using var scope = Assert.EnterMultipleScope();
        Assert.That((await AdminHttp.CallAsync("GET", $"/api/keys/{id}")).Verdict, Is.EqualTo("404 key_not_found"));
        Assert.That((await AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", "{}")).Verdict, Is.EqualTo("404 key_not_found"));
        Assert.That((await AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate")).Verdict, Is.EqualTo("404 key_not_found"));
        Assert.That((await AdminHttp.CallAsync("DELETE", $"/api/keys/{id}")).Verdict, Is.EqualTo("404 key_not_found"));
    }

    [Test]
    public async Task Use_shows_in_the_view_and_does_not_change_the_version()
    {
        var made = await CreateAsync();
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
        var used = Now;

        // The flush runs beside; each look gives it another turn.
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var view = await Admin.GetKeyAsync(made.KeyId, patience.Token);
        while (view.LastUsedAt is null)
        {
            Host.Clock!.Advance(TimeSpan.FromSeconds(2));
            view = await Admin.GetKeyAsync(made.KeyId, patience.Token);
        }

        Assert.That(view.LastUsedAt, Is.EqualTo(used));
        Assert.That(view.Secrets.Single().LastUsedAt, Is.EqualTo(used));
        Assert.That(view.Version, Is.EqualTo(1));
        Assert.That(await EventsOfAsync(made.KeyId), Has.Count.EqualTo(1));
    }
}
