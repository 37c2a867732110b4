using System.Text.Json;
using Mira.Web.Logging;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Observability;

/// <summary>A line for each request, when it was asked for.</summary>
internal sealed class RequestLogTests
{
    /// <summary>
    /// What ends a line, begins an object, colours a terminal or turns the direction, as a path can hold it.
    /// </summary>
    private static readonly string[] Hostile =
    [
        "%0a", "%0d%0a{\"level\":\"critical\"}", "%1b%5b31mred", "%c2%85next", "%e2%80%a8next", "%e2%80%a9next", "%e2%80%aeturned", "%22,%22level%22:%22critical", "%5c", "%00", "%7f", "%f3%a0%81%81",
    ];

    [TestCase("json")]
    [TestCase("text")]
    public async Task Each_request_is_one_line_whatever_it_was(string format)
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_REQUESTS", "true"), ("LOG_FORMAT", format));
        await mira.WaitUntilReadyAsync();
        var sent = 0;
        foreach (var bad in Hostile)
        {
            foreach (var header in new[] { "X-Correlation-ID", "User-Agent", "X-Forwarded-For", "Referer" })
            {
                var answer = await RawHttp.SendAsync(mira.Address, [$"GET /probe/{bad}?{bad} HTTP/1.1", "Host: mira", $"{header}: {Uri.UnescapeDataString(bad).Replace('\r', ' ').Replace('\n', ' ')}", "Connection: close"]);
                sent += answer.Status == 401 ? 1 : 0;
            }
        }

        Assert.That(sent, Is.GreaterThan(30));
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        mira.Process.WaitForExit();

        var lines = mira.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines.Count(line => line.Contains("/probe/", StringComparison.Ordinal)), Is.EqualTo(sent));
        Assert.That(mira.Output.Where(character => character != '\n'), Has.None.Matches<char>(character => char.IsControl(character) || character is '\u2028' or '\u2029' or '\u202e'));
        // The one warning: nobody here is a trusted proxy, and it is told once.
        var warnings = lines.Where(line => line.Contains("IgnoredForwarding", StringComparison.Ordinal)).ToList();
        Assert.That(warnings, Has.Count.EqualTo(1));
        Assert.That(warnings[0], Does.Match(FormOf(format, "warn")));
        Assert.That(lines.Except(warnings), Is.All.Match(FormOf(format, "info")));
    }

    private static string FormOf(string format, string level) =>
        format == "json" ? $"^\\{{\"timestamp\":\"[^\"]+\",\"level\":\"{level}\"," : $"^{level} \\S+Z [\\w.]+: ";

    [Test]
    public async Task A_line_says_who_did_what_and_what_came_of_it()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_REQUESTS", "true"));
        await mira.WaitUntilReadyAsync();
        using var admin = mira.Http(folder.Admin);
        await admin.CallAsync("GET", "/api/keys?q=zzqueryzz", null, "application/json", ("X-Correlation-ID", "mine-1"));
        await admin.CallAsync("HEAD", "/api/auth/validate", null, "application/json", ("X-Correlation-ID", "mine-2"));
        await admin.CallAsync("DELETE", $"/api/keys/{folder.Admin}", null, "application/json", ("X-Correlation-ID", "mine-3"));
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        mira.Process.WaitForExit();

        var first = LineOf("mine-1");
        Assert.Multiple(() =>
        {
            Assert.That(first.GetProperty("category").GetString(), Is.EqualTo("Mira.Web.Requests"));
            Assert.That(first.GetProperty("method").GetString(), Is.EqualTo("GET"));
            Assert.That(first.GetProperty("path").GetString(), Is.EqualTo("/api/keys"));
            Assert.That(first.GetProperty("status").GetInt32(), Is.EqualTo(200));
            Assert.That(first.GetProperty("duration_ms").GetDouble(), Is.Positive.And.LessThan(60_000));
            Assert.That(first.GetProperty("key_id").GetString(), Is.EqualTo(MiraHost.IdOf(folder.Admin)));
            Assert.That(LineOf("mine-2").GetProperty("method").GetString(), Is.EqualTo("HEAD"), "as it came");
            Assert.That(LineOf("mine-3").GetProperty("path").GetString(), Is.EqualTo($"/api/keys/{MiraHost.IdOf(folder.Admin)}_***"), "a token is cut off");
            Assert.That(mira.Output, Does.Not.Contain("zzqueryzz").And.Not.Contain(folder.Admin[22..]));
        });

        JsonElement LineOf(string id) => mira.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))
            .Single(line => line.TryGetProperty("correlation_id", out var own) && own.GetString() == id && line.TryGetProperty("path", out _));
    }

    [Test]
    public async Task No_request_is_a_line_unless_it_was_asked_for()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder);
        await mira.WaitUntilReadyAsync();
        using var http = mira.Http(folder.Admin);
        await http.ValidateAsync();
        Assert.That((await Scrape.OfAsync(http)).Names, Has.No.Member("request_log_dropped_total"));
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        Assert.That(mira.Output, Does.Not.Contain("validate"));
    }

    // Nobody writes here, as when whoever reads the output stands still.
    [Test]
    public void What_the_output_cannot_take_is_counted_and_nobody_waits()
    {
        using var log = new RequestLog(new LogFormat(true), TimeProvider.System);
        var context = new Microsoft.AspNetCore.Http.DefaultHttpContext();
        for (var line = 0; line < RequestLog.QueueLength + 100; line++)
            log.Note(context, new ServedRequest("GET", "/", 200, TimeSpan.Zero), DateTimeOffset.UnixEpoch);
        Assert.That(log.Dropped, Is.EqualTo(100));
    }
}
