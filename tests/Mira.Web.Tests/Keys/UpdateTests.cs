using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>Changing a key: absent keeps, null clears, and nothing changed is nothing done.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class UpdateTests : SharedHost
{
    private const string MergePatch = "application/merge-patch+json";

    [Test]
    public async Task What_is_given_changes_and_what_is_absent_stays()
    {
        var before = await FullKeyAsync();
        var after = await Admin.UpdateKeyAsync(before.KeyId, new UpdateKey { Name = "new name" });

        using var scope = Assert.EnterMultipleScope();
        Assert.That((after.Name, after.Version), Is.EqualTo(("new name", 2)));
        Assert.That((after.Owner, after.Role, after.RateLimitPerMinute, after.ExpiresAt), Is.EqualTo((before.Owner, before.Role, before.RateLimitPerMinute, before.ExpiresAt)));
        Assert.That(after.Permissions, Is.EqualTo(before.Permissions));
        Assert.That(after.Metadata, Is.EqualTo(before.Metadata));
        Assert.That(after.AllowedIps, Is.EqualTo(before.AllowedIps));
    }

    [Test]
    public async Task Every_field_can_be_changed()
    {
        var before = await FullKeyAsync();
        var after = await Admin.UpdateKeyAsync(before.KeyId, new UpdateKey
        {
            Name = "Cafe\u0301",
            Owner = "other",
            Role = "operator",
            Permissions = ["x:y"],
            Metadata = new Dictionary<string, string> { ["b"] = "2" },
            RateLimitPerMinute = 6,
            AllowedIps = ["192.0.2.9/24"],
        });

        using var scope = Assert.EnterMultipleScope();
        Assert.That((after.Name, after.Owner, after.Role, after.RateLimitPerMinute), Is.EqualTo(("Caf\u00e9", "other", "operator", (int?)6)));
        Assert.That(after.Permissions, Is.EqualTo(new[] { "keys:read", "keys:verify", "webhooks:execute", "x:y" }));
        Assert.That(after.Metadata, Is.EqualTo(new Dictionary<string, string> { ["b"] = "2" }));
        Assert.That(after.AllowedIps, Is.EqualTo(new[] { "192.0.2.0/24" }));
        Assert.That(after.Version, Is.EqualTo(2));
    }

    [Test]
    public async Task Null_clears()
    {
        var before = await FullKeyAsync();
        var answer = await AdminHttp.CallAsync(
            "PATCH", $"/api/keys/{before.KeyId}", """{"owner":null,"permissions":null,"metadata":null,"rate_limit_per_minute":null,"allowed_ips":null}""");
        var after = await Admin.GetKeyAsync(before.KeyId);

        using var scope = Assert.EnterMultipleScope();
        Assert.That(answer.Verdict, Is.EqualTo("200"));
        Assert.That((after.Owner, after.RateLimitPerMinute), Is.EqualTo((default(string), default(int?))));
        Assert.That(after.Permissions, Is.EqualTo(new[] { "keys:read" }));
        Assert.That(after.Metadata, Is.Empty);
        Assert.That(after.AllowedIps, Is.Empty);
        Assert.That(after.Name, Is.EqualTo(before.Name));
    }

    [TestCase("{}")]
    [TestCase("""{"name":"full"}""")]
    [TestCase("""{"permissions":["documents:read"],"metadata":{"a":"1"},"owner":"team","rate_limit_per_minute":5,"allowed_ips":["10.9.9.9/8"],"role":"viewer","disabled":false}""")]
    public async Task A_change_of_nothing_is_no_change(string body)
    {
        var before = await FullKeyAsync();
        var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{before.KeyId}", body);

        Assert.That(answer.Verdict, Is.EqualTo("200"));
        Assert.That(answer.Header("ETag"), Is.EqualTo("\"1\""));
        Assert.That((await Admin.GetKeyAsync(before.KeyId)).Version, Is.EqualTo(1));
        Assert.That(await EventsOfAsync(before.KeyId), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task The_answer_is_the_new_view_and_its_tag()
    {
        var before = await FullKeyAsync();
        var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{before.KeyId}", """{"name":"other"}""");
        var view = await AdminHttp.CallAsync("GET", $"/api/keys/{before.KeyId}");
        Assert.That((answer.Header("ETag"), answer.Text), Is.EqualTo(("\"2\"", view.Text)));
        Assert.That(view.Header("ETag"), Is.EqualTo("\"2\""));
    }

    [Test]
    public async Task Metadata_is_replaced_whole()
    {
        var before = await FullKeyAsync();
        var after = await Admin.UpdateKeyAsync(before.KeyId, new UpdateKey { Metadata = new Dictionary<string, string> { ["z"] = "9" } });
        Assert.That(after.Metadata, Is.EqualTo(new Dictionary<string, string> { ["z"] = "9" }));
    }

    [Test]
    public async Task A_merge_patch_merges_metadata()
    {
        var key = await FullKeyAsync();
        var merged = await AdminHttp.CallAsync("PATCH", $"/api/keys/{key.KeyId}", """{"metadata":{"b":"2","c":"3"}}""", MergePatch);
        Assert.That(merged.Verdict, Is.EqualTo("200"));
        var less = await AdminHttp.CallAsync("PATCH", $"/api/keys/{key.KeyId}", """{"metadata":{"a":null,"b":"5","none":null}}""", MergePatch);
        Assert.That(less.Json.GetProperty("metadata").ToString(), Is.EqualTo("""{"b":"5","c":"3"}"""));
        var none = await AdminHttp.CallAsync("PATCH", $"/api/keys/{key.KeyId}", """{"metadata":null}""", MergePatch);
        Assert.That(none.Json.GetProperty("metadata").ToString(), Is.EqualTo("{}"));
    }

    [Test]
    public async Task A_merge_patch_cannot_grow_metadata_beyond_its_limit()
    {
        var key = await FullKeyAsync();
        var pairs = string.Join(",", Enumerable.Range(0, 20).Select(number => $"\"k{number}\":\"v\""));
        var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{key.KeyId}", $$$"""{"metadata":{{{{pairs}}}}}""", MergePatch);
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { "metadata" }));
        Assert.That((await Admin.GetKeyAsync(key.KeyId)).Version, Is.EqualTo(1));
    }

    [TestCase("POST", "/api/keys")]
    [TestCase("POST", "/api/keys/mira_key_000000000000/rotate")]
    public async Task A_merge_patch_is_for_changes_alone(string method, string path) =>
        Assert.That((await AdminHttp.CallAsync(method, path, "{}", MergePatch)).Verdict, Is.EqualTo("415 unsupported_media_type"));

    [TestCase("""{"name":null}""", "name")]
    [TestCase("""{"name":"  "}""", "name")]
    [TestCase("""{"role":null}""", "role")]
    [TestCase("""{"role":"root"}""", "role")]
    [TestCase("""{"owner":""}""", "owner")]
    [TestCase("""{"disabled":null}""", "disabled")]
    [TestCase("""{"permissions":["keys:manage"]}""", "permissions")]
    [TestCase("""{"metadata":{"k":null}}""", "metadata")]
    [TestCase("""{"rate_limit_per_minute":0}""", "rate_limit_per_minute")]
    [TestCase("""{"allowed_ips":["10.0.0.0/99"]}""", "allowed_ips")]
    public async Task A_value_outside_the_rules_is_refused_and_nothing_changes(string body, string field)
    {
        var key = await FullKeyAsync();
        var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{key.KeyId}", body);
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
        Assert.That((await Admin.GetKeyAsync(key.KeyId)).Version, Is.EqualTo(1));
    }

    [TestCase("""{"disabled":"yes"}""", "malformed_json")]
    [TestCase("""{"rate_limit_per_minute":"5"}""", "malformed_json")]
    [TestCase("", "malformed_json")]
    [TestCase("[]", "malformed_json")]
    [TestCase("""{"expiry_days":5}""", "unknown_property")]
    [TestCase("""{"key_id":"x"}""", "unknown_property")]
    [TestCase("""{"if_match":"x"}""", "unknown_property")]
    [TestCase("""{"merges_metadata":true}""", "unknown_property")]
    [TestCase("""{"name":"a","name":"b"}""", "duplicate_property")]
    public async Task A_body_that_is_no_change_is_refused(string body, string code) =>
        Assert.That((await AdminHttp.CallAsync("PATCH", $"/api/keys/{(await FullKeyAsync()).KeyId}", body)).Verdict, Is.EqualTo($"400 {code}"));

    [Test]
    public async Task A_key_is_switched_off_and_on_again()
    {
        var made = await CreateAsync();
        var off = await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Disabled = true });
        Assert.That((off.Status, off.Version), Is.EqualTo(("disabled", 2)));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_disabled"));

        var on = await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Disabled = false });
        Assert.That((on.Status, on.Version), Is.EqualTo(("active", 3)));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
    }

    [Test]
    public async Task A_new_role_counts_at_once()
    {
        var made = await CreateAsync("admin");
        var http = Host.Http(made.ApiKey);
        Assert.That((await http.CallAsync("GET", "/api/audit")).Verdict, Is.EqualTo("200"));
        await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Role = "operator" });
        Assert.That((await http.CallAsync("GET", "/api/audit")).Verdict, Is.EqualTo("403 insufficient_permission"));
    }

    [Test]
    public async Task A_revoked_key_cannot_be_changed()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.KeyId);
        Assert.That(await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Name = "b" }).RefusalAsync(), Is.EqualTo("409 key_not_active"));
        Assert.That(await Admin.UpdateKeyAsync(made.KeyId, new UpdateKey { Disabled = false }).RefusalAsync(), Is.EqualTo("409 key_not_active"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Status, Is.EqualTo("revoked"));
    }

    private async Task<KeyView> FullKeyAsync() => await Admin.GetKeyAsync((await Admin.CreateKeyAsync(new CreateKey
    {
        Name = "full",
        Role = "viewer",
        Owner = "team",
        Permissions = ["documents:read"],
        Metadata = new Dictionary<string, string> { ["a"] = "1" },
        RateLimitPerMinute = 5,
        AllowedIps = ["10.0.0.0/8"],
    })).KeyId);
}
