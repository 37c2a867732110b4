using System.Text.Json;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>What a key learns of itself.</summary>
internal sealed class ValidateTests : SharedHostTests
{
    [Test]
    public async Task A_key_sees_itself_and_not_its_secret()
    {
        var token = await Mira.NewKeyAsync("operator", key => key.Permissions = ["documents:*", "a:b"]);
        var answer = await SendAsync("GET", "/api/auth/validate", token);
        var json = answer.Json;
        Assert.That(answer.Status, Is.EqualTo(200));
        Assert.That(answer.Properties(), Is.EquivalentTo(new[] { "valid", "key_id", "name", "role", "permissions", "expires_at", "status", "rate_limit" }));
        Assert.That(json.GetProperty("valid").GetBoolean(), Is.True);
        Assert.That(json.GetProperty("key_id").GetString(), Is.EqualTo(token[..21]));
        Assert.That(json.GetProperty("name").GetString(), Is.EqualTo("a operator"));
        Assert.That(json.GetProperty("role").GetString(), Is.EqualTo("operator"));
        Assert.That(json.GetProperty("status").GetString(), Is.EqualTo("active"));
        Assert.That(json.GetProperty("expires_at").GetString(), Does.EndWith("Z"));
        Assert.That(
            json.GetProperty("permissions").EnumerateArray().Select(item => item.GetString()),
            Is.EqualTo(new[] { "a:b", "documents:*", "keys:read", "keys:verify", "webhooks:execute" }));
        Assert.That(answer.Body, Does.Not.Contain(token[21..]));
    }

    [Test]
    public async Task A_key_without_an_end_has_none()
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.NeverExpires = true);
        var answer = await SendAsync("GET", "/api/auth/validate", token);
        Assert.That(answer.Json.GetProperty("expires_at").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public async Task Both_secrets_of_a_rotating_key_see_their_own_end()
    {
        var old = await Mira.NewKeyAsync("viewer", key => key.ExpiryDays = 10);
        var rotated = await PostAsync($"/api/keys/{old[..21]}/rotate", """{"expiry_days":20}""");
        var oldView = (await SendAsync("GET", "/api/auth/validate", old)).Json;
        var newView = (await SendAsync("GET", "/api/auth/validate", rotated.Json.GetProperty("api_key").GetString())).Json;
        Assert.That(oldView.GetProperty("status").GetString(), Is.EqualTo("rotating"));
        Assert.That(newView.GetProperty("status").GetString(), Is.EqualTo("rotating"));
        Assert.That(oldView.GetProperty("expires_at").GetDateTimeOffset(), Is.LessThan(newView.GetProperty("expires_at").GetDateTimeOffset()));
    }
}
