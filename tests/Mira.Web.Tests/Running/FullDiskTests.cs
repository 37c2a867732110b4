using System.Diagnostics;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>What cannot be recorded does not happen, on a disk that is really full.</summary>
internal sealed class FullDiskTests
{
    private const string NewKey = """{"name":"a","role":"viewer"}""";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan HealthLimit = TimeSpan.FromSeconds(5);

    [Test]
    public async Task On_a_full_disk_changes_are_refused_in_time_and_work_again_when_there_is_room()
    {
        using var folder = new TestFolder();
        Directory.CreateDirectory(folder.Data);
        if (Environment.UserName != "root" || await RunAsync("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", folder.Data) != 0)
            Assert.Ignore("Only root can mount a small disk.");

        try
        {
            await using var mira = MiraProcess.Start(folder);
            await mira.WaitUntilReadyAsync();
            using var admin = mira.Http(folder.Admin);
            var known = await CreateAsync(admin);
            Assert.That(known.Verdict, Is.EqualTo("201"));

            // What a call costs on this machine now: a busy one is no fault of the service.
            var idle = Stopwatch.StartNew();
            await admin.ValidateAsync();
            var slack = 10 * idle.Elapsed;

            var filler = Path.Combine(folder.Data, "filler");
            Fill(filler);
            var full = Stopwatch.StartNew();
            Reply refused;
            do
            {
                // The log may have a page left.
                var started = Stopwatch.StartNew();
                refused = await CreateAsync(admin);
                Assert.That(started.Elapsed, Is.LessThan(Limit + slack));
            }
            while (refused.Verdict == "201");

            Assert.That(refused.Verdict, Is.EqualTo("503 audit_unavailable"));
            Assert.That((await admin.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("degraded"));
            Assert.That(full.Elapsed, Is.LessThan(HealthLimit + (10 * slack)));
            using var holder = mira.Http(known.Field("api_key"));
            Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));
            var listed = (await admin.CallAsync("GET", "/api/keys?limit=200")).Json.GetProperty("keys").GetArrayLength();
            Assert.That((await CreateAsync(admin)).Verdict, Is.EqualTo("503 audit_unavailable"));
            Assert.That((await admin.CallAsync("GET", "/api/keys?limit=200")).Json.GetProperty("keys").GetArrayLength(), Is.EqualTo(listed), "nothing has changed");

            File.Delete(filler);
            await MiraProcess.WaitForAsync(async () => (await admin.CallAsync("GET", "/health")).Field("status") == "healthy");
            Assert.That((await CreateAsync(admin)).Verdict, Is.EqualTo("201"));
            var verified = await MiraProcess.RunAsync(folder, ["audit", "verify"]);
            Assert.That(verified.ExitCode, Is.Zero, verified.Error);
        }
        finally
        {
            await RunAsync("umount", "-l", folder.Data);
        }
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task A_start_on_a_full_disk_verifies_and_refuses_changes_until_there_is_room(bool afterCrash)
    {
        using var folder = new TestFolder();
        await OnSmallDiskAsync(folder, async () =>
        {
            string? key;
            await using (var before = MiraProcess.Start(folder))
            {
                await before.WaitUntilReadyAsync();
                using var maker = before.Http(folder.Admin);
                key = (await CreateAsync(maker)).Field("api_key");
                if (!afterCrash)
                {
                    before.Signal("TERM");
                    await before.Process.WaitForExitAsync();
                }
            }

            var filler = Path.Combine(folder.Data, "filler");
            Fill(filler);
            await using var mira = MiraProcess.Start(folder);
            await mira.WaitUntilReadyAsync();
            using var admin = mira.Http(folder.Admin);
            using var holder = mira.Http(key);
            Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));
            // A log that a crash left may have a page free.
            Reply refused;
            do
                refused = await CreateAsync(admin);
            while (refused.Verdict == "201" && afterCrash);
            Assert.That(refused.Verdict, Is.EqualTo("503 audit_unavailable"));
            Assert.That((await admin.CallAsync("GET", "/health")).Field("status"), Is.EqualTo("degraded"));

            File.Delete(filler);
            await MiraProcess.WaitForAsync(async () => (await admin.CallAsync("GET", "/health")).Field("status") == "healthy");
            Assert.That((await CreateAsync(admin)).Verdict, Is.EqualTo("201"));
            Assert.That((await holder.ValidateAsync()).Verdict, Is.EqualTo("200"));
            await MiraProcess.WaitForAsync(async () =>
                (await admin.CallAsync("GET", "/api/audit?type=system.started")).Json.GetProperty("events").GetArrayLength() == 2);
            var verified = await MiraProcess.RunAsync(folder, ["audit", "verify"]);
            Assert.That(verified.ExitCode, Is.Zero, verified.Error);
        });
    }

    [Test]
    public async Task A_first_start_on_a_full_disk_is_refused_in_one_line()
    {
        using var folder = new TestFolder();
        await OnSmallDiskAsync(folder, async () =>
        {
            Fill(Path.Combine(folder.Data, "filler"));
            var refused = await MiraProcess.RunAsync(folder, []);
            Assert.That((refused.ExitCode, refused.Error.Trim().Split('\n').Length), Is.EqualTo((1, 1)), refused.Error);
            Assert.That(refused.Error, Does.StartWith("mira: MIRA_").And.Contain("written"));
        });
    }

    private static async Task OnSmallDiskAsync(TestFolder folder, Func<Task> act)
    {
        Directory.CreateDirectory(folder.Data);
        if (Environment.UserName != "root" || await RunAsync("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", folder.Data) != 0)
            Assert.Ignore("Only root can mount a small disk.");

        try
        {
            await act();
        }
        finally
        {
            await RunAsync("umount", "-l", folder.Data);
        }
    }

    private static Task<Reply> CreateAsync(HttpClient admin) => admin.CallAsync("POST", "/api/keys", NewKey);

    private static void Fill(string path)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        foreach (var size in (int[])[1 << 16, 1 << 12, 1])
        {
            try
            {
                while (true)
                    file.Write(new byte[size]);
            }
            catch (IOException)
            {
                // Full, for writes of this size.
            }
        }
    }

    private static async Task<int> RunAsync(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
