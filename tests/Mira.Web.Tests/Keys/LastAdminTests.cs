using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>
/// An admin key that works must remain. Each test begins and ends with exactly one, which need not be the first.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class LastAdminTests : SharedHost
{
    private const int Rounds = 15;

    private string _only = "";

    [OneTimeSetUp]
    public void TakeTheFirst() => _only = Host.Admin;

    [Test]
    public async Task The_last_admin_cannot_be_ended_by_any_change()
    {
        var client = Host.Client(_only);
        var id = MiraHost.IdOf(_only);
        var before = (await client.GetKeyAsync(id)).Version;

        Assert.That(await client.RevokeKeyAsync(id).RefusalAsync(), Is.EqualTo("409 last_admin"));
        Assert.That(await client.UpdateKeyAsync(id, new UpdateKey { Role = "operator" }).RefusalAsync(), Is.EqualTo("409 last_admin"));
        Assert.That(await client.UpdateKeyAsync(id, new UpdateKey { Disabled = true }).RefusalAsync(), Is.EqualTo("409 last_admin"));
        Assert.That((await client.GetKeyAsync(id)).Version, Is.EqualTo(before));
    }

    [Test]
    public async Task Admins_that_do_not_work_now_do_not_count()
    {
        var client = Host.Client(_only);
        var expired = await client.CreateKeyAsync(new CreateKey { Name = "a", Role = "admin", ExpiryDays = 1 });
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        var disabled = await client.CreateKeyAsync(new CreateKey { Name = "a", Role = "admin" });
        await client.UpdateKeyAsync(disabled.KeyId, new UpdateKey { Disabled = true });
        var revoked = await client.CreateKeyAsync(new CreateKey { Name = "a", Role = "admin" });
        await client.RevokeKeyAsync(revoked.KeyId);

        Assert.That(await client.RevokeKeyAsync(MiraHost.IdOf(_only)).RefusalAsync(), Is.EqualTo("409 last_admin"));
        Assert.That(await client.UpdateKeyAsync(MiraHost.IdOf(_only), new UpdateKey { Disabled = true }).RefusalAsync(), Is.EqualTo("409 last_admin"));
        await client.RevokeKeyAsync(expired.KeyId);
        await client.RevokeKeyAsync(disabled.KeyId);
    }

    [Test]
    public async Task A_rotating_admin_counts()
    {
        var other = await Host.Client(_only).CreateKeyAsync(new CreateKey { Name = "a", Role = "admin" });
        var rotated = await Host.Client(_only).RotateKeyAsync(other.KeyId);
        await Host.Client(rotated.ApiKey).RevokeKeyAsync(MiraHost.IdOf(_only));
        _only = rotated.ApiKey!;
    }

    [Test]
    public async Task Two_admins_that_end_each_other_leave_exactly_one([Values("revoke", "demote", "disable")] string way)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var first = _only;
            var second = (await Host.Client(first).CreateKeyAsync(new CreateKey { Name = "a", Role = "admin" })).ApiKey!;
            var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var race = Task.WhenAll(EndAsync(first, second, way, ready.Task), EndAsync(second, first, way, ready.Task));
            ready.SetResult();
            var verdicts = await race;

            Assert.That(verdicts.Count(verdict => verdict == "200"), Is.EqualTo(1), string.Join(" and ", verdicts));
            Assert.That(verdicts.Single(verdict => verdict != "200"), Is.AnyOf("409 last_admin", "401 key_revoked", "401 key_disabled", "403 insufficient_permission"));
            _only = verdicts[0] == "200" ? first : second;
            var admins = await Host.Client(_only).ListKeysAsync(role: "admin", status: "active", limit: 200);
            Assert.That(admins.Keys.Select(key => key.KeyId), Is.EqualTo(new[] { MiraHost.IdOf(_only) }));
        }
    }

    private async Task<string> EndAsync(string by, string token, string way, Task ready)
    {
        var http = Host.Http(by);
        await ready;
        var path = $"/api/keys/{MiraHost.IdOf(token)}";
        return (way switch
        {
            "revoke" => await http.CallAsync("DELETE", path),
            "demote" => await http.CallAsync("PATCH", path, """{"role":"viewer"}"""),
            _ => await http.CallAsync("PATCH", path, """{"disabled":true}"""),
        }).Verdict;
    }
}
