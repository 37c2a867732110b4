using Microsoft.Data.Sqlite;
using Mira.Client;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Running;

/// <summary>What goes on when nothing can be written.</summary>
internal sealed class FailingWriterTests
{
    [Test]
    public async Task Nothing_changes_unrecorded_and_all_else_goes_on()
    {
        await using var mira = MiraHost.Start();
        var token = await mira.NewKeyAsync("viewer");
        var id = MiraHost.IdOf(token);
        var before = (await CallAsync(mira, "GET", "/api/keys")).Body;
        await using (await LockAsync(mira))
        {
            (string Method, string Path, string? Body)[] changes =
            [
                ("POST", "/api/keys", """{"name":"a","role":"viewer"}"""),
                ("PATCH", $"/api/keys/{id}", """{"name":"b"}"""),
                ("POST", $"/api/keys/{id}/rotate", "{}"),
                ("DELETE", $"/api/keys/{id}", null),
            ];
            foreach (var answer in await Task.WhenAll(changes.Select(change => CallAsync(mira, change.Method, change.Path, change.Body))))
                Assert.That(answer.ShouldBeProblem(503, "audit_unavailable").Header("Retry-After"), Does.Match("^[1-9][0-9]*$"));

            Assert.That((await CallAsync(mira, "GET", "/api/auth/validate", token: token)).Status, Is.EqualTo(200));
            Assert.That((await CallAsync(mira, "POST", "/api/keys/verify", $$"""{"api_key":"{{token}}"}""")).Code, Is.EqualTo("valid"));
            Assert.That(NamesOf((await CallAsync(mira, "GET", "/api/keys")).Body), Is.EqualTo(NamesOf(before)));
            Assert.That((await CallAsync(mira, "GET", "/api/audit")).Status, Is.EqualTo(200));

            var health = await CallAsync(mira, "GET", "/health");
            Assert.That((health.Status, health.Json.GetProperty("status").GetString()), Is.EqualTo((200, "degraded")));
            Assert.That(health.Json.GetProperty("details").GetProperty("store_writable").GetBoolean(), Is.False);
            var ready = await CallAsync(mira, "GET", "/health/ready", token: null);
            Assert.That((ready.Status, ready.Json.GetProperty("status").GetString()), Is.EqualTo((200, "degraded")));
        }

        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, "GET", "/health")).Json.GetProperty("status").GetString() == "healthy");
        var rotated = await mira.Client().RotateKeyAsync(id);
        Assert.That(rotated.Version, Is.EqualTo(2));
        await mira.Client().CreateKeyAsync(new CreateKey { Name = "after", Role = "viewer" });
    }

    [Test]
    public async Task The_last_use_is_written_when_that_is_possible_again()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var token = await mira.NewKeyAsync("viewer");
        var used = mira.Clock!.GetUtcNow();
        await using (await LockAsync(mira))
        {
            Assert.That((await CallAsync(mira, "GET", "/api/auth/validate", token: token)).Status, Is.EqualTo(200));
            mira.Clock.Advance(TimeSpan.FromSeconds(2));
            await MiraProcess.WaitForAsync(() => Task.FromResult(mira.Log.Contains("is not written yet", StringComparison.Ordinal)));
        }

        await MiraProcess.WaitForAsync(async () =>
        {
            mira.Clock.Advance(TimeSpan.FromSeconds(2));
            return (await mira.Client().GetKeyAsync(MiraHost.IdOf(token))).LastUsedAt == used;
        });
    }

    private static async Task<SqliteConnection> LockAsync(MiraHost mira)
    {
        var connection = new SqliteConnection($"Data Source={Path.Combine(mira.Folder.Data, "mira.db")};Pooling=false");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    private static Task<WireAnswer> CallAsync(MiraHost mira, string method, string path, string? body = null) => CallAsync(mira, method, path, mira.Admin, body);

    private static async Task<WireAnswer> CallAsync(MiraHost mira, string method, string path, string? token, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : MiraHost.Json(body) };
        return await WireAnswer.OfAsync(mira.Http(token).SendAsync(request));
    }

    private static IEnumerable<string?> NamesOf(string list) =>
        System.Text.Json.JsonDocument.Parse(list).RootElement.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("name").GetString());
}
