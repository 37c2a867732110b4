using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace Mira.Containers.Tests;

/// <summary>The life of a key through a published port: created, used, rotated and revoked.</summary>
internal static class KeyWalk
{
    public static async Task<(string Token, string Id)> CreateAsync(HttpClient admin, string name, int? limit = null)
    {
        using var created =
            await admin.PostAsJsonAsync("/api/keys", new { name, role = "viewer", rate_limit_per_minute = limit });
        var text = await created.Content.ReadAsStringAsync();
        Assert.That(created.StatusCode, Is.EqualTo(HttpStatusCode.Created), text);
        var key = JsonElement.Parse(text);
        return (key.GetProperty("api_key").GetString()!, key.GetProperty("key_id").GetString()!);
    }

    public static async Task<HttpStatusCode> UseAsync(HttpClient client, string token)
    {
        using var call = new HttpRequestMessage(HttpMethod.Get, "/api/auth/validate");
        call.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var answer = await client.SendAsync(call);
        return answer.StatusCode;
    }

    /// <param name="admin">Calls with an admin's token.</param>
    /// <param name="hasManyNodes">The other nodes refuse a revoked key within two seconds.</param>
    public static async Task FromFirstToLastCallAsync(HttpClient admin, bool hasManyNodes = false)
    {
        var (token, id) = await CreateAsync(admin, "walk");
        Assert.That(await UseAsync(admin, token), Is.EqualTo(HttpStatusCode.OK));

        using var rotation = await admin.PostAsync($"/api/keys/{id}/rotate", null);
        Assert.That(rotation.StatusCode, Is.EqualTo(HttpStatusCode.Created));
        var next = JsonElement.Parse(await rotation.Content.ReadAsStringAsync()).GetProperty("api_key").GetString()!;
        Assert.That(await UseAsync(admin, token), Is.EqualTo(HttpStatusCode.OK), "the old secret has an hour");
        Assert.That(await UseAsync(admin, next), Is.EqualTo(HttpStatusCode.OK));

        using var revocation = await admin.DeleteAsync($"/api/keys/{id}");
        Assert.That(revocation.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        if (hasManyNodes)
        {
            for (var node = 0; node < 3; node++)
                await ComposeProject.UntilAsync(IsRefusedAsync, "the revoked key is refused", seconds: 10);
        }

        Assert.That(await IsRefusedAsync());

        async Task<bool> IsRefusedAsync() => await UseAsync(admin, next) == HttpStatusCode.Unauthorized;
    }
}
