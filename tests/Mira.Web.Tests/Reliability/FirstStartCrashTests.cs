using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// The process is killed while it starts for the first time, between the pepper, the database, its tables, the file
/// with the first admin's token and that key: the next start needs nobody's help.
/// </summary>
internal sealed class FirstStartCrashTests
{
    private const int ReportEvery = 25;

    /// <summary>What a first start leaves in the folder on its way; kills come soon after each.</summary>
    private static readonly string[] Traces = ["data", "data/mira.lock", "data/pepper", "data/mira.db", "data/mira.db-wal", "data/mira.db-shm", "admin-key"];

    [Test]
    [Category("Soak")]
    public async Task A_killed_first_start_leaves_nothing_that_the_next_one_trips_over()
    {
        var random = Soak.Seeded();
        var (kills, folders, withoutFile) = (0, 0, 0);
        while (kills < Soak.KillsInFirstStart)
        {
            using var folder = new TestFolder();
            for (var times = random.Next(1, 4); times > 0 && kills < Soak.KillsInFirstStart; times--, kills++)
                await KillWhileStartingAsync(folder, random);

            withoutFile += File.Exists(folder.AdminFile) ? 0 : 1;
            folders++;
            await DemandOneAdminAsync(folder);
            if (folders % ReportEvery == 0)
                Print();
        }

        Print();

        void Print() => Soak.Print($"kills {kills} in {folders} folders, in {withoutFile} of them before there was a token; every next start worked");
    }

    private static async Task KillWhileStartingAsync(TestFolder folder, Random random)
    {
        // On a folder that an earlier kill left half made the trace is there from the beginning, and the moment is any
        // of the start.
        var trace = folder.At(Traces[random.Next(Traces.Length)]);
        var wasThere = Path.Exists(trace);
        await using var mira = MiraProcess.Start(folder, Calls.NoLimits);
        await Soak.UntilAsync(() => Path.Exists(trace) || mira.Process.HasExited);
        Soak.SpinUpTo(wasThere ? 1500 : 120, random);
        Assert.That(mira.Process.HasExited, Is.False, mira.Error);
        mira.Process.Kill();
        await mira.Process.WaitForExitAsync();
    }

    private static async Task DemandOneAdminAsync(TestFolder folder)
    {
        await using var mira = MiraProcess.Start(folder, Calls.NoLimits);
        await mira.WaitUntilReadyAsync();
        using var admin = mira.Http(folder.Admin);
        var keys = (await Calls.GetAsync(admin, "/api/keys")).Demand(HttpStatusCode.OK).Items("keys").ToList();
        Assert.That(keys.Select(key => (string?)key["role"]), Is.EqualTo(new[] { "admin" }));
        Assert.That((await Calls.GetAsync(admin, "/health/ready")).Text("status"), Is.EqualTo("healthy"));
        Assert.That(File.GetUnixFileMode(folder.AdminFile), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(new LedgerFile(folder).Check(), Is.Empty);
    }
}
