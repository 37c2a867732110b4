using System.Diagnostics;
using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// The process is killed in the middle of writes, again and again on one folder: what was acknowledged is there, and
/// nothing by halves.
/// </summary>
internal sealed class CrashTests
{
    private const int Holders = 6;
    private const int MostChanges = 60;
    private const int ReportEvery = 50;

    [Test]
    [Category("Soak")]
    public async Task What_was_acknowledged_survives_every_kill()
    {
        using var folder = new TestFolder();
        var random = Soak.Seeded();
        var crowd = Enumerable.Range(1, Holders).Select(number => new KeyHolder(number, random.Next())).ToList();
        var ledger = new LedgerFile(folder);
        var figures = new Figures();
        try
        {
            while (true)
            {
                await using var mira = await figures.StartAsync(folder);
                await CompareAsync(mira, folder, crowd, ledger, figures);
                if (figures.Kills == Soak.KillsDuringWrites)
                    break;

                await WriteUntilKilledAsync(mira, folder, crowd, random);
                figures.Kills++;
                if (figures.Kills % ReportEvery == 0)
                    figures.Print(crowd, ledger);
            }

            await using var last = await figures.StartAsync(folder);
            figures.Add(ledger.CheckFromTheStart());
            await CompareRevokedAsync(last, crowd, figures);
        }
        finally
        {
            figures.Print(crowd, ledger);
        }

        Assert.That(figures.Problems, Is.Empty);
        Assert.That(crowd.Sum(holder => holder.Acknowledged), Is.GreaterThanOrEqualTo(figures.Kills), "The kills came before the changes.");
    }

    private static async Task WriteUntilKilledAsync(MiraProcess mira, TestFolder folder, IReadOnlyList<KeyHolder> crowd, Random random)
    {
        var target = crowd.Sum(holder => holder.Acknowledged) + random.Next(1, MostChanges);
        using var admin = mira.Http(folder.Admin);
        var killed = false;
        var writers = crowd.Select(WriteAsync).ToList();
        await Soak.UntilAsync(() => crowd.Sum(holder => holder.Acknowledged) >= target || writers.Exists(writer => writer.IsFaulted));
        Soak.SpinUpTo(8, random);
        Volatile.Write(ref killed, true);
        mira.Process.Kill();
        await mira.Process.WaitForExitAsync();
        await Task.WhenAll(writers);

        async Task WriteAsync(KeyHolder holder)
        {
            try
            {
                while (true)
                    await holder.ChangeAsync(admin);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException && Volatile.Read(ref killed))
            {
                // Torn off, as it should be.
            }
        }
    }

    private static async Task CompareAsync(MiraProcess mira, TestFolder folder, IReadOnlyList<KeyHolder> crowd, LedgerFile ledger, Figures figures)
    {
        using var admin = mira.Http(folder.Admin);
        using var anyone = mira.Http();
        foreach (var problems in await Task.WhenAll(crowd.Select(holder => holder.SettleAsync(admin, anyone))))
            figures.Add(problems);
        figures.Add(ledger.Check());
        Assert.That(figures.Problems, Is.Empty);
        Assert.That(ledger.Count("SELECT count(*) FROM ledger WHERE type = 'key.created' AND body LIKE '%\"reason\":\"bootstrap\"%'"), Is.EqualTo(1));
        Assert.That((await Calls.GetAsync(anyone, "/health/ready")).Text("status"), Is.EqualTo("healthy"));
    }

    private static async Task CompareRevokedAsync(MiraProcess mira, IReadOnlyList<KeyHolder> crowd, Figures figures)
    {
        using var anyone = mira.Http();
        foreach (var token in crowd.SelectMany(holder => holder.Revoked))
        {
            // Its holder may have been rotated out long before, and is then no longer told why.
            var answer = await Calls.GetAsync(anyone, Calls.Validate, token);
            if (answer.Status != HttpStatusCode.Unauthorized || answer.Code is not ("key_revoked" or "invalid_key"))
                figures.Add([$"lost: a revoked key's token answers {answer}"]);
        }
    }

    private sealed class Figures
    {
        private readonly List<double> _starts = [];

        public List<string> Problems { get; } = [];

        public int Kills { get; set; }

        public void Add(IEnumerable<string> problems) => Problems.AddRange(problems);

        public async Task<MiraProcess> StartAsync(TestFolder folder)
        {
            var started = Stopwatch.GetTimestamp();
            var mira = MiraProcess.Start(folder, Calls.NoLimits);
            await mira.WaitUntilReadyAsync();
            _starts.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            return mira;
        }

        public void Print(IReadOnlyList<KeyHolder> crowd, LedgerFile ledger)
        {
            var restarts = _starts.Skip(1).DefaultIfEmpty().ToList();
            Soak.Print($"kills {Kills}");
            Soak.Print($"acknowledged changes {crowd.Sum(holder => holder.Acknowledged)}");
            Soak.Print($"torn calls {crowd.Sum(holder => holder.Torn)}, of which had happened {crowd.Sum(holder => holder.TornButDone)}");
            Soak.Print($"events checked {ledger.CheckedTo}");
            Soak.Print($"restart to ready: mean {restarts.Average():0.00} s, longest {restarts.Max():0.00} s");
            Soak.Print($"lost {Problems.Count(problem => problem.StartsWith("lost", StringComparison.Ordinal))}");
            Soak.Print($"half done {Problems.Count(problem => problem.StartsWith("half done", StringComparison.Ordinal))}");
        }
    }
}
