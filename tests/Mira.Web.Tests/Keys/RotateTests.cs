using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>A new secret for a key, and how long the old ones go on.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class RotateTests : SharedHost
{
    private const string Superseded = "Mira-Key-Superseded";

    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);

    [Test]
    public async Task Both_secrets_work_until_the_grace_ends()
    {
        var made = await CreateAsync();
        var rotated = await Admin.RotateKeyAsync(made.KeyId);
        Assert.That(rotated.PreviousValidUntil, Is.EqualTo(Now.AddMinutes(60)));

        Host.Clock!.Advance(TimeSpan.FromMinutes(60) - Tick);
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("200"));

        Host.Clock.Advance(Tick);
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_rotated_out"));
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("200"));
    }

    [Test]
    public async Task The_answer_tells_of_the_new_secret()
    {
        var made = await CreateAsync("operator", days: 30);
        var answer = await AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate", """{"grace_minutes":5}""");

        using var scope = Assert.EnterMultipleScope();
        Assert.That(answer.Verdict, Is.EqualTo("201"));
        Assert.That(
            answer.Json.EnumerateObject().Select(field => field.Name),
            Is.EquivalentTo(new[] { "api_key", "key_id", "version", "role", "expires_at", "previous_valid_until", "message" }));
        Assert.That((answer.Field("key_id"), answer.Field("version"), answer.Field("role")), Is.EqualTo((made.KeyId, "2", "operator")));
        Assert.That(answer.Json.GetProperty("expires_at").GetDateTimeOffset(), Is.EqualTo(Now.AddDays(30)));
        Assert.That(answer.Json.GetProperty("previous_valid_until").GetDateTimeOffset(), Is.EqualTo(Now.AddMinutes(5)));
        Assert.That(answer.Header("Location"), Is.EqualTo($"/api/keys/{made.KeyId}"));
        Assert.That(answer.Header("ETag"), Is.EqualTo("\"2\""));
        Assert.That(answer.Field("message"), Does.Contain("only once"));
        Assert.That(answer.Field("api_key"), Does.StartWith($"{made.KeyId}_").And.Not.EqualTo(made.ApiKey));
    }

    [Test]
    public async Task A_rotating_key_shows_its_secrets_and_when_the_old_one_ends()
    {
        var made = await CreateAsync(days: 30);
        await Admin.RotateKeyAsync(made.KeyId);
        var view = await Admin.GetKeyAsync(made.KeyId);

        using var scope = Assert.EnterMultipleScope();
        Assert.That((view.Status, view.Version, view.RotatedAt), Is.EqualTo(("rotating", 2, (DateTimeOffset?)Now)));
        Assert.That(
            view.Secrets.Select(secret => (secret.Version, secret.ValidUntil, secret.ExpiresAt)),
            Is.EqualTo(new[] { (1, (DateTimeOffset?)Now.AddMinutes(60), (DateTimeOffset?)Now.AddDays(30)), (2, null, Now.AddDays(30)) }));

        Host.Clock!.Advance(TimeSpan.FromMinutes(60));
        view = await Admin.GetKeyAsync(made.KeyId);
        Assert.That(view.Status, Is.EqualTo("active"));
        Assert.That(view.Secrets, Has.Count.EqualTo(2), "the ended secret is still told why");
    }

    [Test]
    public async Task Only_the_holder_of_an_old_secret_is_told_when_it_ends()
    {
        var made = await CreateAsync();
        var rotated = await Admin.RotateKeyAsync(made.KeyId);
        var old = await Host.Http(made.ApiKey).ValidateAsync();
        Assert.That(DateTimeOffset.Parse(old.Header(Superseded)!, null), Is.EqualTo(rotated.PreviousValidUntil));
        Assert.That(old.Header(Superseded), Does.EndWith("Z"));
        Assert.That(old.Field("status"), Is.EqualTo("rotating"));
        Assert.That((await Host.Http(rotated.ApiKey).ValidateAsync()).Header(Superseded), Is.Null);
    }

    [Test]
    public async Task A_superseded_secret_reads_and_does_not_manage()
    {
        var made = await CreateAsync("admin");
        var rotated = await Admin.RotateKeyAsync(made.KeyId);
        var old = Host.Http(made.ApiKey);

        using var scope = Assert.EnterMultipleScope();
        Assert.That((await old.CallAsync("GET", "/api/keys")).Verdict, Is.EqualTo("200"));
        Assert.That((await old.CallAsync("GET", "/api/audit")).Verdict, Is.EqualTo("200"));
        Assert.That((await old.CallAsync("GET", "/api/keys")).Header(Superseded), Is.Not.Null);
        Assert.That((await old.CallAsync("POST", "/api/keys", """{"name":"a","role":"admin"}""")).Verdict, Is.EqualTo("403 superseded_secret"));
        Assert.That((await old.CallAsync("PATCH", $"/api/keys/{made.KeyId}", """{"name":"b"}""")).Verdict, Is.EqualTo("403 superseded_secret"));
        Assert.That((await old.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate")).Verdict, Is.EqualTo("403 superseded_secret"));
        Assert.That((await old.CallAsync("DELETE", $"/api/keys/{made.KeyId}")).Verdict, Is.EqualTo("403 superseded_secret"));
        Assert.That((await Host.Http(rotated.ApiKey).CallAsync("PATCH", $"/api/keys/{made.KeyId}", """{"name":"b"}""")).Verdict, Is.EqualTo("200"));
    }

    [Test]
    public async Task A_role_that_may_not_manage_is_told_that_and_not_of_its_secret()
    {
        var made = await CreateAsync("operator");
        await Admin.RotateKeyAsync(made.KeyId);
        Assert.That((await Host.Http(made.ApiKey).CallAsync("DELETE", $"/api/keys/{made.KeyId}")).Verdict, Is.EqualTo("403 insufficient_permission"));
    }

    [Test]
    public async Task Three_secrets_work_and_a_fourth_is_refused()
    {
        var made = await CreateAsync();
        var second = await Admin.RotateKeyAsync(made.KeyId);
        var third = await Admin.RotateKeyAsync(made.KeyId);
        Assert.That(await Admin.RotateKeyAsync(made.KeyId).RefusalAsync(), Is.EqualTo("409 too_many_live_secrets"));

        foreach (var token in new[] { made.ApiKey, second.ApiKey, third.ApiKey })
            Assert.That(await VerdictOnAsync(token), Is.EqualTo("200"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Version, Is.EqualTo(3));
        Assert.That(await EventsOfAsync(made.KeyId), Has.Count.EqualTo(3));

        Host.Clock!.Advance(TimeSpan.FromMinutes(60));
        Assert.That((await Admin.RotateKeyAsync(made.KeyId)).Version, Is.EqualTo(4));
    }

    [Test]
    public async Task No_grace_ends_every_older_secret_at_once()
    {
        var made = await CreateAsync();
        var second = await Admin.RotateKeyAsync(made.KeyId);
        var third = await Admin.RotateKeyAsync(made.KeyId);
        var fourth = await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { GraceMinutes = 0 });

        Assert.That(fourth.PreviousValidUntil, Is.EqualTo(Now));
        foreach (var token in new[] { made.ApiKey, second.ApiKey, third.ApiKey })
            Assert.That(await VerdictOnAsync(token), Is.EqualTo("401 key_rotated_out"));
        Assert.That(await VerdictOnAsync(fourth.ApiKey), Is.EqualTo("200"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Status, Is.EqualTo("active"));
    }

    [Test]
    public async Task Another_rotation_does_not_shorten_the_first_ones_grace()
    {
        var made = await CreateAsync();
        await Admin.RotateKeyAsync(made.KeyId);
        var second = await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { GraceMinutes = 1 });
        Assert.That(second.PreviousValidUntil, Is.EqualTo(Now.AddMinutes(1)));

        Host.Clock!.Advance(TimeSpan.FromMinutes(59));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
    }

    [Test]
    public async Task The_new_secret_gets_the_original_lifetime_again()
    {
        var made = await CreateAsync(days: 10);
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        Assert.That((await Admin.RotateKeyAsync(made.KeyId)).ExpiresAt, Is.EqualTo(Now.AddDays(10)));
    }

    [Test]
    public async Task A_lifetime_given_is_the_keys_from_then_on()
    {
        var made = await CreateAsync(days: 10);
        Assert.That((await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { ExpiryDays = 20 })).ExpiresAt, Is.EqualTo(Now.AddDays(20)));
        Assert.That((await Admin.RotateKeyAsync(made.KeyId)).ExpiresAt, Is.EqualTo(Now.AddDays(20)));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).ExpiresAt, Is.EqualTo(Now.AddDays(20)));
    }

    [Test]
    public async Task A_key_without_an_end_stays_without_one()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", NeverExpires = true });
        Assert.That((await Admin.RotateKeyAsync(made.KeyId)).ExpiresAt, Is.Null);
    }

    [TestCase(1, 10, 1, Description = "its own end comes first")]
    [TestCase(10, 1, 1, Description = "the new one's end comes first")]
    [TestCase(60, 60, 30, Description = "the grace ends first")]
    public async Task The_old_secret_ends_with_the_first_of_three_ends(int ownDays, int newDays, int expectedDays)
    {
        var made = await CreateAsync(days: ownDays);
        var rotated = await Admin.RotateKeyAsync(made.KeyId, body: new RotateKey { GraceMinutes = 43_200, ExpiryDays = newDays });
        Assert.That(rotated.PreviousValidUntil, Is.EqualTo(Now.AddDays(expectedDays)));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("{}")]
    [TestCase("null")]
    [TestCase("""{"grace_minutes":null,"expiry_days":null}""")]
    public async Task A_body_is_not_needed(string? body)
    {
        var made = await CreateAsync();
        var answer = await AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate", body);
        Assert.That(answer.Verdict, Is.EqualTo("201"));
        Assert.That(answer.Json.GetProperty("previous_valid_until").GetDateTimeOffset(), Is.EqualTo(Now.AddMinutes(60)));
    }

    [TestCase("""{"grace_minutes":-1}""", "validation_failed", "grace_minutes")]
    [TestCase("""{"grace_minutes":43201}""", "validation_failed", "grace_minutes")]
    [TestCase("""{"grace_minutes":99999999999}""", "validation_failed", "grace_minutes")]
    [TestCase("""{"expiry_days":0}""", "validation_failed", "expiry_days")]
    [TestCase("""{"expiry_days":-1}""", "validation_failed", "expiry_days")]
    [TestCase("""{"expiry_days":3651}""", "validation_failed", "expiry_days")]
    [TestCase("""{"grace_minutes":"5"}""", "malformed_json", "grace_minutes")]
    [TestCase("""{"grace_minutes":1.5}""", "malformed_json", "grace_minutes")]
    [TestCase("""{"grace":5}""", "unknown_property", "grace")]
    [TestCase("""{"never_expires":true}""", "unknown_property", "never_expires")]
    [TestCase("""{"grace_minutes":1,"grace_minutes":1}""", "duplicate_property", "grace_minutes")]
    public async Task A_wish_outside_the_rules_is_refused(string body, string code, string field)
    {
        var made = await CreateAsync();
        var answer = await AdminHttp.CallAsync("POST", $"/api/keys/{made.KeyId}/rotate", body);
        Assert.That(answer.Verdict, Is.EqualTo($"400 {code}"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Version, Is.EqualTo(1));
    }

    [Test]
    public async Task A_key_that_is_not_active_is_not_rotated()
    {
        var expired = await CreateAsync(days: 1);
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        var revoked = await CreateAsync();
        await Admin.RevokeKeyAsync(revoked.KeyId);
        var disabled = await CreateAsync();
        await Admin.UpdateKeyAsync(disabled.KeyId, new UpdateKey { Disabled = true });

        foreach (var key in new[] { expired, revoked, disabled })
        {
            var before = await AdminHttp.CallAsync("GET", $"/api/keys/{key.KeyId}");
            Assert.That(await Admin.RotateKeyAsync(key.KeyId).RefusalAsync(), Is.EqualTo("409 key_not_active"));
            Assert.That((await AdminHttp.CallAsync("GET", $"/api/keys/{key.KeyId}")).Text, Is.EqualTo(before.Text));
        }
    }
}
