using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>One request arrives many times at once, as impatient clients and proxies send it.</summary>
internal sealed class RepeatRaceTests
{
    private const int Crowd = 50;

    [Test]
    public async Task Creates_with_one_idempotency_key_make_one_key_and_show_its_token_once()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        for (var round = Soak.RoundsOf(3); round > 0; round--)
        {
            var name = $"round-{round}.";
            var answers = await SendAsync(() => Calls.PostAsync(admin, "/api/keys", $$"""{"name":"{{name}}","role":"viewer"}""", repeat: name));
            DemandOne(answers);
            var found = (await Calls.GetAsync(admin, $"/api/keys?q={name}")).Items("keys").ToList();
            Assert.That(found, Has.Count.EqualTo(1));

            var later = (await Calls.PostAsync(admin, "/api/keys", $$"""{"name":"{{name}}","role":"viewer"}""", repeat: name)).Demand(HttpStatusCode.Created);
            Assert.That((later.IsReplayed, later.Text("api_key"), later.Text("key_id")), Is.EqualTo((true, (string?)null, (string?)found[0]["key_id"])));
        }
    }

    [Test]
    public async Task Rotations_with_one_idempotency_key_rotate_once()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var admin = mira.Http(mira.Admin);
        var path = $"/api/keys/{MiraHost.IdOf(await mira.NewKeyAsync("viewer"))}";
        var answers = await SendAsync(() => Calls.PostAsync(admin, $"{path}/rotate", repeat: "once"));
        DemandOne(answers);
        Assert.That((await Calls.GetAsync(admin, path)).Number("version"), Is.EqualTo(2));
    }

    private static async Task<IReadOnlyList<Answer>> SendAsync(Func<Task<Answer>> send) =>
        await Task.WhenAll(Enumerable.Range(0, Crowd).Select(_ => Task.Run(send)));

    private static void DemandOne(IReadOnlyList<Answer> answers)
    {
        var made = answers.Where(answer => answer.Status == HttpStatusCode.Created).ToList();
        Assert.That(answers.Except(made).Select(answer => answer.Code), Is.All.EqualTo("idempotency_in_progress"));
        Assert.That(made.Count(answer => !answer.IsReplayed), Is.EqualTo(1));
        Assert.That(made.Count(answer => answer.Text("api_key") is not null), Is.EqualTo(1));
        Assert.That(made.Select(answer => (answer.Text("key_id"), answer.Text("expires_at"))).Distinct().Count(), Is.EqualTo(1));
    }
}
