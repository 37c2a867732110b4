using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>A pepper gives way to another while callers go on calling.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class PepperRotationTests
{
    private const int Keys = 6;

    private static readonly string Old = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
    private static readonly string New = Convert.ToBase64String(RandomNumberGenerator.GetBytes(48));

    [Test]
    public async Task Keys_move_to_the_next_pepper_as_they_are_used()
    {
        using var folder = new TestFolder();
        var tokens = new List<string>();
        await using (var mira = MiraHost.Start(folder: folder, settings: ("MIRA_PEPPER", Old)))
        {
            for (var i = 0; i < Keys; i++)
                tokens.Add(await mira.NewKeyAsync("viewer"));
            tokens.Add(mira.Admin);
            await UseAsync(mira, tokens);
        }

        Assert.That(File.Exists(Path.Combine(folder.Data, "pepper")), Is.False, "none is made where one is given");
        var oldId = (await StatusAsync(folder, ("MIRA_PEPPER", Old))).Single().Split(' ')[0];

        // The next one is known everywhere before any node makes digests with it.
        await using (var mira = MiraHost.Start(folder: folder, settings: [("MIRA_PEPPER", Old), ("MIRA_PEPPER_RETIRED", New)]))
            await UseAsync(mira, tokens);
        Assert.That(await StatusAsync(folder, ("MIRA_PEPPER", Old), ("MIRA_PEPPER_RETIRED", New)), Does.Contain($"{oldId} current {Keys + 1}"));

        var versions = new List<int>();
        await using (var mira = MiraHost.Start(folder: folder, settings: [("MIRA_PEPPER", New), ("MIRA_PEPPER_RETIRED", Old)]))
        {
            var seqBefore = await NewestAsync(mira);
            var all = tokens.SkipLast(2).Append(mira.Admin).ToList();
            await UseUntilAsync(mira, all, async () =>
                (await StatusAsync(folder, ("MIRA_PEPPER", New), ("MIRA_PEPPER_RETIRED", Old))).Contains($"{oldId} retired 1"));
            versions.AddRange((await mira.Client().ListKeysAsync()).Keys.Select(key => key.Version));
            Assert.That(await NewestAsync(mira), Is.EqualTo(seqBefore), "no event comes of it");

            await UseUntilAsync(mira, tokens, async () =>
                (await StatusAsync(folder, ("MIRA_PEPPER", New), ("MIRA_PEPPER_RETIRED", Old))).Contains($"{oldId} retired 0"));
        }

        Assert.That(versions, Is.All.EqualTo(1), "no version either");
        await using (var mira = MiraHost.Start(folder: folder, settings: ("MIRA_PEPPER", New)))
            await UseAsync(mira, tokens);
    }

    // That the trail was read is an event by itself.
    private static async Task<long> NewestAsync(MiraHost mira) =>
        (await mira.Client().ListAuditEventsAsync(limit: 20)).Events.First(entry => entry.Type != "audit.read").Seq;

    private static async Task<string[]> StatusAsync(TestFolder folder, params (string Name, string Value)[] settings)
    {
        var (exitCode, output, error) = await MiraProcess.RunAsync(folder, ["pepper", "status"], settings);
        Assert.That((exitCode, error), Is.EqualTo((0, "")));
        return output.Trim().Split('\n');
    }

    private static async Task UseAsync(MiraHost mira, IEnumerable<string> tokens)
    {
        foreach (var token in tokens)
            Assert.That((await mira.Client(token).ValidateKeyAsync()).Valid, Is.True);
    }

    /// <summary>Calls with all tokens at once, again and again, until the condition holds; no call may fail.</summary>
    private static async Task UseUntilAsync(MiraHost mira, IReadOnlyList<string> tokens, Func<Task<bool>> condition)
    {
        using var end = new CancellationTokenSource();
        var failures = new ConcurrentQueue<string>();
        var callers = tokens.Select(token => Task.Run(async () =>
        {
            var client = mira.Http(token);
            while (!end.IsCancellationRequested)
            {
                using var answer = await client.GetAsync("/api/auth/validate");
                if (!answer.IsSuccessStatusCode)
                    failures.Enqueue($"{token[..21]}: {answer.StatusCode}");
                await Task.Yield();
            }
        })).ToList();
        await MiraProcess.WaitForAsync(condition);
        await end.CancelAsync();
        await Task.WhenAll(callers);
        Assert.That(failures, Is.Empty);
    }
}
