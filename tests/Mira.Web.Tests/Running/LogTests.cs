using System.Text.Json;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Running;

/// <summary>What a collector reads from standard output.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class LogTests
{
    private const string Marker = "zzmarkerzz";

    [TestCase("INFO")]
    [TestCase("TRACE")]
    public async Task Every_line_is_one_json_object_whatever_callers_send(string level)
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_LEVEL", level));
        await mira.WaitUntilReadyAsync();
        await CallAsync(mira, folder.Admin);
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();

        var lines = mira.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Is.Not.Empty);
        foreach (var line in lines)
        {
            var json = JsonDocument.Parse(line).RootElement;
            Assert.That(json.GetProperty("timestamp").GetString(), Does.EndWith("Z"));
            Assert.That(json.GetProperty("level").GetString(), Is.AnyOf("trace", "debug", "info", "warn", "error", "critical"));
            Assert.That(json.GetProperty("category").GetString(), Is.Not.Empty);
            Assert.That(json.GetProperty("message").GetString(), Is.Not.Null);
        }

        Assert.That(mira.Output, Does.Not.Contain(folder.Admin[21..]));
        if (level == "INFO")
            Assert.That(mira.Output, Does.Not.Contain(Marker).And.Not.Contain("/api/"), "no line for a request");
    }

    [Test]
    public async Task Text_is_for_people()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_FORMAT", "Text"));
        await mira.WaitUntilReadyAsync();
        await CallAsync(mira, folder.Admin);
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        Assert.That(mira.Output, Does.Contain("Now listening on").And.Not.Contain("{\"timestamp\"").And.Not.Contain(Marker));
        Assert.That(mira.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.All.Match("^(\u001b\\[[0-9;]*m)*(trce|dbug|info|warn|fail|crit)"));
    }

    [Test]
    public async Task Silence_can_be_had()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("LOG_LEVEL", "critical"));
        await mira.WaitUntilReadyAsync();
        mira.Signal("INT");
        await mira.Process.WaitForExitAsync();
        Assert.That(mira.Output, Is.Empty);
    }

    // Switched on by the platform's own setting, and still nobody is believed.
    [Test]
    public async Task The_platforms_own_switch_makes_nobody_a_proxy()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder, ("ASPNETCORE_FORWARDEDHEADERS_ENABLED", "true"));
        await mira.WaitUntilReadyAsync();
        using var admin = mira.Http(folder.Admin);
        var made = await WireAnswer.OfAsync(admin.PostAsync("/api/keys", MiraHost.Json("""{"name":"a","role":"viewer","allowed_ips":["203.0.113.7"]}""")));
        using var client = mira.Http(made.Json.GetProperty("api_key").GetString());
        client.DefaultRequestHeaders.Add("X-Forwarded-For", "203.0.113.7");
        (await WireAnswer.OfAsync(client.GetAsync("/api/auth/validate"))).ShouldBeProblem(403, "ip_not_allowed");
    }

    private static async Task CallAsync(MiraProcess mira, string token)
    {
        foreach (var header in new[] { $"\"}}{Marker}", $"{{\"a\":\"{Marker}\\", $"\u001b[31m{Marker}", $"{Marker}\u0085\u009f\u00ff", $"\t{Marker}%0d%0a{{}}" })
        {
            foreach (var name in new[] { "X-Correlation-ID", "User-Agent", "traceparent", "X-Forwarded-For", "X-API-Key" })
                await RawHttp.SendAsync(mira.Address, [$"GET /api/auth/validate?{Marker}=%0a HTTP/1.1", "Host: mira", $"{name}: {header}", "Connection: close"]);
            await RawHttp.SendAsync(
                mira.Address, ["POST /api/keys HTTP/1.1", "Host: mira", $"Authorization: Bearer {token}", $"User-Agent: {header}", $"Content-Type: {header}", "Content-Length: 2", "Connection: close"],
                "{}"u8.ToArray());
        }
    }
}
