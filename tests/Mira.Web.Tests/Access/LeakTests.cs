using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Sql;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Access;

/// <summary>
/// A token is in the answer that hands it out and nowhere else: no log, no file, no trail, no other answer.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class LeakTests
{
    [Test]
    public async Task No_token_is_in_the_log_the_files_or_any_other_answer([Values("INFO", "DEBUG", "TRACE")] string level)
    {
        await using var mira = MiraHost.Start(settings: ("LOG_LEVEL", level));
        var detector = new LeakDetector();
        detector.WatchToken(mira.Admin);
        var answers = await UseAsync(mira.Http, mira.Admin, detector);
        answers.AddRange(await DigestsAsync(mira, detector));

        Assert.That(detector.Find("log", mira.Log), Is.Empty);
        Assert.That(detector.Find(LeakDetector.Files(mira.Folder.Data)), Is.Empty);
        Assert.That(detector.Find(answers.Select((answer, number) => ($"answer {number}", Encoding.UTF8.GetBytes(Whole(answer))))), Is.Empty);
    }

    [Test]
    public async Task No_token_is_in_what_the_process_prints([Values("json", "text")] string format)
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_LEVEL", "TRACE"), ("LOG_FORMAT", format), ("LOG_REQUESTS", "true"));
        await mira.WaitUntilReadyAsync();
        var detector = new LeakDetector();
        detector.WatchToken(folder.Admin);
        await UseAsync(mira.Http, folder.Admin, detector);
        mira.Signal("TERM");
        await mira.Process.WaitForExitAsync();
        mira.Process.WaitForExit();

        Assert.That(mira.Output, Is.Not.Empty);
        Assert.That(detector.Find("standard output", mira.Output), Is.Empty);
        Assert.That(detector.Find("standard error", mira.Error), Is.Empty);
        Assert.That(detector.Find(LeakDetector.Files(folder.Data)), Is.Empty);
    }

    [Test]
    public async Task A_planted_leak_is_found_in_every_place()
    {
        await using var mira = MiraHost.Start();
        var token = await mira.NewKeyAsync("viewer");
        var detector = new LeakDetector();
        detector.WatchToken(token);
        Assert.That(detector.Find("log", mira.Log).Concat(detector.Find(LeakDetector.Files(mira.Folder.Data))), Is.Empty);

        // What the service must never do, done by hand: a log line with a token, and a record that holds its secret
        // half.
        mira.Services.GetRequiredService<ILogger<LeakTests>>().Log(LogLevel.Warning, default, token, null, (refused, _) => $"refused {refused}");
        var named = await mira.Http(mira.Admin).CallAsync("POST", "/api/keys", $$"""{"name":"{{token.Substring(22, 43)}}","role":"viewer"}""");

        Assert.That(detector.Find("log", mira.Log), Has.Count.EqualTo(1));
        Assert.That(detector.Find(LeakDetector.Files(mira.Folder.Data)), Has.Some.StartsWith("mira.db"));
        Assert.That(detector.Find("answer", named.Text), Has.Count.EqualTo(1));
        Assert.That(detector.Find([("text of 16 bits", Encoding.Unicode.GetBytes(token))]), Has.Count.EqualTo(1));
        var trail = await mira.Http(mira.Admin).CallAsync("GET", "/api/audit");
        Assert.That(detector.Find("trail", trail.Text), Has.Count.EqualTo(1));
    }

    /// <summary>
    /// Every kind of call, with good and bad tokens wherever somebody might put one. Answers that hand a token out are
    /// checked for handing out that one alone.
    /// </summary>
    private static async Task<List<Reply>> UseAsync(Func<string?, HttpClient> client, string adminToken, LeakDetector detector)
    {
        var answers = new List<Reply>();
        var admin = client(adminToken);
        var viewer = await HandOutAsync("/api/keys", """{"name":"v","role":"viewer"}""", "first");
        var id = MiraHost.IdOf(viewer);
        await HandOutAsync($"/api/keys/{id}/rotate", null, "second");
        var current = await HandOutAsync($"/api/keys/{id}/rotate", """{"grace_minutes":0}""", "third");
        var forged = Token.Generate(KeyId.TryParse(id, out var keyId) ? keyId : default).Reveal();
        var unknown = Token.Generate(KeyId.Generate()).Reveal();
        var damaged = $"{current[..65]}AAAAAA";
        foreach (var bad in new[] { forged, unknown, damaged })
            detector.WatchToken(bad);

        foreach (var token in new[] { adminToken, current, viewer, forged, unknown, damaged })
        {
            await PresentAsync(token);
            await MisplaceAsync(token);
        }

        foreach (var path in new[] { "/api/keys", $"/api/keys/{id}", "/api/audit?limit=200", "/api/keys/stats/cache", "/health", "/swagger/v1/swagger.json" })
            await NoteAsync(admin, "GET", path);
        await NoteAsync(admin, "PATCH", $"/api/keys/{id}", """{"name":"w","disabled":true}""");
        await NoteAsync(admin, "POST", "/api/keys/verify", $$"""{"api_key":"{{current}}"}""");
        await NoteAsync(admin, "DELETE", $"/api/keys/{id}?reason=done");
        await NoteAsync(admin, "POST", "/api/keys/verify", $$"""{"api_key":"{{current}}"}""");
        await NoteAsync(admin, "GET", "/api/audit?limit=200");
        return answers;

        async Task<string> HandOutAsync(string path, string? body, string repeat)
        {
            var answer = await admin.CallAsync("POST", path, body, headers: ("Idempotency-Key", repeat));
            Assert.That(answer.Verdict, Is.EqualTo("201"));
            Assert.That(detector.Find("an answer with another token", Whole(answer)), Is.Empty);
            var token = answer.Field("api_key")!;
            detector.WatchToken(token);
            await NoteAsync(admin, "POST", path, body, ("Idempotency-Key", repeat));
            return token;
        }

        async Task PresentAsync(string token)
        {
            await NoteAsync(client(token), "GET", "/api/auth/validate");
            await NoteAsync(client(token), "GET", "/api/keys");
            await NoteAsync(client(null), "GET", "/api/auth/validate", null, ("X-API-Key", token));
            await NoteAsync(client(null), "GET", "/health", null, ("X-API-Key", token));
            await NoteAsync(client(null), "GET", "/api/auth/validate", null, ("Authorization", $"Bearer {token} {token}"));
            await NoteAsync(client(null), "GET", "/api/auth/validate", null, ("Authorization", $"Basic {token}"));
            await NoteAsync(client(token), "GET", "/api/auth/validate", null, ("X-API-Key", token));
            await NoteAsync(client(token), "POST", "/api/auth/forward/?role=viewer");
        }

        async Task MisplaceAsync(string token)
        {
            await NoteAsync(client(null), "GET", $"/api/auth/validate?api_key={token}");
            await NoteAsync(admin, "GET", $"/api/keys?access_token={token}");
            await NoteAsync(client(null), "GET", $"/api/auth/forward/x?api_key={token}");
            await NoteAsync(admin, "GET", $"/api/keys/{token}");
            await NoteAsync(admin, "DELETE", $"/api/keys/{token}");
            await NoteAsync(admin, "POST", $"/api/keys/{token}/rotate");
            await NoteAsync(admin, "GET", $"/api/{token}");
            await NoteAsync(admin, "PUT", $"/api/keys/{token}");
            await NoteAsync(admin, "GET", $"/api/keys?q={token}");
            await NoteAsync(admin, "GET", $"/api/keys?cursor={token}");
            await NoteAsync(admin, "GET", $"/api/audit?key_id={token}");
            await NoteAsync(admin, "GET", $"/api/audit?actor={token}&from={token}");
            await NoteAsync(admin, "GET", "/api/auth/validate", null, ("X-Correlation-ID", token));
            await NoteAsync(admin, "PATCH", $"/api/keys/{id}", "{}", ("If-Match", token));
            await NoteAsync(admin, "POST", "/api/keys", $$"""{"api_key":"{{token}}"}""");
            await NoteAsync(admin, "POST", "/api/keys", $$"""{"name":"a","role":"{{token}}"}""");
            await NoteAsync(admin, "POST", "/api/keys", $$"""{"name":"a","role":"viewer","expiry_days":"{{token}}"}""");
            await NoteAsync(admin, "POST", "/api/keys", $$"""{"name":"a","role":"viewer","permissions":["{{token}}"],"allowed_ips":["{{token}}"]}""");
            await NoteAsync(admin, "POST", "/api/keys", $$"""{"name":"a","role":"viewer" {{token}}""");
            await NoteAsync(admin, "POST", "/api/keys/verify", $$"""{"api_key":"{{token}}","permissions":["{{token}}"]}""");
            await NoteAsync(admin, "POST", "/api/keys/verify", $$"""{"api_key":"{{token}}"}""");
        }

        async Task NoteAsync(HttpClient http, string method, string path, string? body = null, params (string, string)[] headers) =>
            answers.Add(await http.CallAsync(method, path, body, headers: headers));
    }

    /// <summary>
    /// Digests are no more for showing than tokens; with the answers of what shows keys, now that they are known.
    /// </summary>
    private static async Task<List<Reply>> DigestsAsync(MiraHost mira, LeakDetector detector)
    {
        await using var database = await mira.Services.GetRequiredService<IDbContextFactory<MiraDbContext>>().CreateDbContextAsync();
        var digests = (await database.Secrets.AsNoTracking().ToListAsync()).Select(secret => secret.Digest.ToArray()).ToList();
        Assert.That(digests, Has.Count.GreaterThan(3));
        foreach (var digest in digests)
        {
            detector.Watch(Convert.ToHexStringLower(digest));
            detector.Watch(Convert.ToHexString(digest));
            detector.Watch(Convert.ToBase64String(digest));
            detector.Watch(Convert.ToBase64String(digest).TrimEnd('=').Replace('+', '-').Replace('/', '_'));
        }

        var admin = mira.Http(mira.Admin);
        var shown = new List<Reply>();
        foreach (var path in new[] { "/api/keys", "/api/audit?limit=200", $"/api/keys/{MiraHost.IdOf(mira.Admin)}" })
            shown.Add(await admin.CallAsync("GET", path));
        return shown;
    }

    private static string Whole(Reply answer) => $"{string.Join("\n", answer.Headers.Select(header => $"{header.Key}: {header.Value}"))}\n\n{answer.Text}";
}
