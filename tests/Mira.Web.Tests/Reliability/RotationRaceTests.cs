using System.Net;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Reliability;

/// <summary>Many rotate one key at the same moment.</summary>
internal sealed class RotationRaceTests
{
    private const int Crowd = 12;

    [Test]
    public async Task Of_200_rotations_with_one_tag_exactly_one_happens()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var token = await mira.NewKeyAsync("viewer");
        var answers = await RotateAsync(mira, token, 200, """{"grace_minutes":1440}""", ifMatch: "\"1\"");

        Assert.That(answers.Count(answer => answer.Status == HttpStatusCode.Created), Is.EqualTo(1));
        Assert.That(answers.Count(answer => answer.Code == "version_mismatch"), Is.EqualTo(199), string.Join(", ", answers.Distinct()));
        Assert.That((await ViewAsync(mira, token)).Number("version"), Is.EqualTo(2));
    }

    [Test]
    public async Task Rotations_with_grace_come_one_after_another_until_three_secrets_live()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        for (var round = Soak.RoundsOf(3); round > 0; round--)
        {
            var token = await mira.NewKeyAsync("viewer");
            var answers = await RotateAsync(mira, token, Crowd, """{"grace_minutes":1440}""");

            var rotated = answers.Where(answer => answer.Status == HttpStatusCode.Created).ToList();
            Assert.That(rotated.Select(answer => answer.Number("version")), Is.EquivalentTo(new[] { 2, 3 }));
            Assert.That(answers.Except(rotated).Select(answer => answer.Code), Is.All.EqualTo("too_many_live_secrets"));
            foreach (var live in rotated.Select(answer => answer.Text("api_key")!).Append(token))
                Assert.That(await StatusOfAsync(mira, live), Is.EqualTo(HttpStatusCode.OK));
            Assert.That((await ViewAsync(mira, token)).Items("secrets").Count(), Is.EqualTo(3));
        }
    }

    [Test]
    public async Task Rotations_without_grace_all_happen_and_only_the_last_secret_works()
    {
        await using var mira = MiraHost.Start(settings: Calls.NoLimits);
        var token = await mira.NewKeyAsync("viewer");
        var answers = await RotateAsync(mira, token, Crowd, """{"grace_minutes":0}""");

        Assert.That(answers.Select(answer => answer.Number("version")), Is.EquivalentTo(Enumerable.Range(2, Crowd)));
        foreach (var answer in answers)
        {
            var works = await StatusOfAsync(mira, answer.Text("api_key")!) == HttpStatusCode.OK;
            Assert.That(works, Is.EqualTo(answer.Number("version") == Crowd + 1), $"secret {answer.Number("version")}");
        }

        Assert.That(await StatusOfAsync(mira, token), Is.EqualTo(HttpStatusCode.Unauthorized));
    }

    private static async Task<IReadOnlyList<Answer>> RotateAsync(MiraHost mira, string token, int times, string body, string? ifMatch = null)
    {
        var admin = mira.Http(mira.Admin);
        return await Task.WhenAll(Enumerable.Range(0, times).Select(_ =>
            Task.Run(() => Calls.PostAsync(admin, $"/api/keys/{MiraHost.IdOf(token)}/rotate", body, ifMatch: ifMatch))));
    }

    private static async Task<HttpStatusCode> StatusOfAsync(MiraHost mira, string token) =>
        (await Calls.GetAsync(mira.Http(), Calls.Validate, token)).Status;

    private static async Task<Answer> ViewAsync(MiraHost mira, string token) =>
        (await Calls.GetAsync(mira.Http(mira.Admin), $"/api/keys/{MiraHost.IdOf(token)}")).Demand(HttpStatusCode.OK);
}
