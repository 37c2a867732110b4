using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>
/// The last two admins end each other, or themselves, at the same moment, by every means there is: one is always left.
/// </summary>
internal sealed class AdminRaceTests
{
    private static readonly Func<HttpClient, string, Task<Answer>>[] Means =
    [
        (admin, path) => Calls.DeleteAsync(admin, path),
        (admin, path) => Calls.PatchAsync(admin, path, """{"role":"viewer"}"""),
        (admin, path) => Calls.PatchAsync(admin, path, """{"disabled":true}"""),
        (admin, path) => Calls.PatchAsync(admin, path, """{"role":"operator","disabled":true}"""),
    ];

    [Test]
    public async Task Of_two_admins_exactly_one_is_left_whatever_they_do([Values] bool toThemselves)
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var random = Soak.Seeded();
        var last = mira.Admin;
        for (var round = Soak.RoundsOf(40); round > 0; round--)
        {
            string[] two = [last, await AnotherAsync(mira, last)];
            var clients = two.Select(token => mira.Http(token)).ToList();
            var targets = toThemselves ? two : two.Reverse();
            var blows = targets.Select(MiraHost.IdOf).Zip(clients, (id, client) => (Client: client, Path: $"/api/keys/{id}", Means: Means[random.Next(Means.Length)])).ToList();

            // Both connections are open before the blows, so that both arrive at once.
            await Task.WhenAll(clients.Select(client => Calls.GetAsync(client, Calls.Validate)));
            var answers = await Task.WhenAll(blows.Select(blow => Task.Run(() => blow.Means(blow.Client, blow.Path))));

            var left = await Task.WhenAll(clients.Select(IsAdminAsync));
            Assert.That(left.Count(isAdmin => isAdmin), Is.EqualTo(1), $"{answers[0]} and {answers[1]}");
            Assert.That(answers.Count(answer => answer.Status == HttpStatusCode.OK), Is.EqualTo(1), $"{answers[0]} and {answers[1]}");
            last = two[Array.IndexOf(left, true)];
        }
    }

    [Test]
    public async Task In_a_ring_of_admins_somebody_is_left()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var last = mira.Admin;
        for (var round = Soak.RoundsOf(10); round > 0; round--)
        {
            List<string> ring = [last];
            while (ring.Count < 6)
                ring.Add(await AnotherAsync(mira, last));

            var clients = ring.Select(token => mira.Http(token)).ToList();
            await Task.WhenAll(clients.Select((client, index) => Task.Run(() =>
                Calls.DeleteAsync(client, $"/api/keys/{MiraHost.IdOf(ring[(index + 1) % ring.Count])}"))));

            var left = await Task.WhenAll(clients.Select(IsAdminAsync));
            Assert.That(left, Has.Some.True);
            last = ring[Array.IndexOf(left, true)];

            // One is enough for the next round, and the others would only hide a mistake.
            foreach (var other in ring.Where((token, index) => left[index] && token != last))
                (await Calls.DeleteAsync(mira.Http(last), $"/api/keys/{MiraHost.IdOf(other)}")).Demand(HttpStatusCode.OK);
        }
    }

    private static async Task<string> AnotherAsync(MiraHost mira, string admin) =>
        (await Calls.PostAsync(mira.Http(admin), "/api/keys", """{"name":"another","role":"admin"}""")).Demand(HttpStatusCode.Created).Text("api_key")!;

    private static async Task<bool> IsAdminAsync(HttpClient client) =>
        await Calls.GetAsync(client, Calls.Validate) is { Status: HttpStatusCode.OK } answer && answer.Text("role") == "admin";
}
