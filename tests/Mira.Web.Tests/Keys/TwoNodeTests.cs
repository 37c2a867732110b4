using System.Net;
using Mira.Client;
using Mira.Domain.Tokens;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>Two nodes on one store: what one has answered holds on the other from the next call on.</summary>
internal sealed class TwoNodeTests
{
    private MiraHost _one = null!;
    private MiraHost _other = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        var settings = await SharedStore.NewAsync();
        _one = MiraHost.Start(settings: settings);
        _other = MiraHost.Start(folder: _one.Folder, settings: settings);
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        await _other.DisposeAsync();
        await _one.DisposeAsync();
    }

    [Test]
    public async Task A_key_rotated_on_one_node_works_on_the_other_at_the_first_call()
    {
        for (var i = 0; i < 20; i++)
        {
            var token = await _one.NewKeyAsync("operator");
            Assert.That(await AskAsync(_other, token), Is.EqualTo(HttpStatusCode.OK), "and is warm there now");

            var rotated = await _one.Client().RotateKeyAsync(MiraHost.IdOf(token), body: new RotateKey { GraceMinutes = 5 });

            Assert.That(await AskAsync(_other, rotated.ApiKey!), Is.EqualTo(HttpStatusCode.OK));
            Assert.That(await AskAsync(_other, token), Is.EqualTo(HttpStatusCode.OK), "in its grace");
        }
    }

    [Test]
    public async Task A_key_made_on_one_node_works_on_the_other_at_the_first_call()
    {
        for (var i = 0; i < 20; i++)
            Assert.That(await AskAsync(_other, await _one.NewKeyAsync("viewer")), Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task A_wrong_secret_and_an_unknown_id_stay_refused()
    {
        var token = await _one.NewKeyAsync("viewer");
        Assert.That(KeyId.TryParse(MiraHost.IdOf(token), out var id));
        string[] wrong = [Token.Generate(id).Reveal(), Token.Generate(KeyId.Generate()).Reveal()];

        foreach (var text in wrong.Concat(wrong))
            Assert.That(await AskAsync(_other, text), Is.EqualTo(HttpStatusCode.Unauthorized));
    }

    [Test]
    public async Task A_key_revoked_on_one_node_is_soon_refused_by_the_other()
    {
        var token = await _one.NewKeyAsync("viewer");
        Assert.That(await AskAsync(_other, token), Is.EqualTo(HttpStatusCode.OK));

        await _one.Client().RevokeKeyAsync(MiraHost.IdOf(token));

        await MiraProcess.WaitForAsync(async () => await AskAsync(_other, token) == HttpStatusCode.Unauthorized);
    }

    private static async Task<HttpStatusCode> AskAsync(MiraHost node, string token)
    {
        using var answer = await node.Http(token).GetAsync("/api/auth/validate");
        return answer.StatusCode;
    }
}
