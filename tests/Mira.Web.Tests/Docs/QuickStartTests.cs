using System.Net;
using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Docs;

/// <summary>The walk of the README: a key from its first to its last call.</summary>
internal sealed class QuickStartTests
{
    [Test]
    public async Task A_key_is_made_used_rotated_and_revoked()
    {
        await using var mira = MiraHost.Start();
        var admin = mira.Client();
        var made = await admin.CreateKeyAsync(new CreateKey { Name = "ci-pipeline", Role = "operator" });
        Assert.That((await mira.Client(made.ApiKey).ValidateKeyAsync()).KeyId, Is.EqualTo(made.KeyId));

        var rotated = await admin.RotateKeyAsync(made.KeyId);
        Assert.That((await mira.Client(made.ApiKey).ValidateKeyAsync()).Status, Is.EqualTo("rotating"));
        Assert.That((await mira.Client(rotated.ApiKey).ValidateKeyAsync()).Valid, Is.True);

        await admin.RevokeKeyAsync(made.KeyId, "done");
        using var refused = await mira.Http(rotated.ApiKey).GetAsync("/api/auth/validate");
        Assert.That(refused.StatusCode, Is.EqualTo(HttpStatusCode.Unauthorized));
        Assert.That((await admin.ListAuditEventsAsync(keyId: made.KeyId)).Events.Select(entry => entry.Type), Is.EqualTo(new[] { "key.revoked", "key.rotated", "key.created" }));
    }

    [Test]
    public async Task The_binary_serves_and_stops()
    {
        using var folder = new TestFolder();
        await using var mira = MiraProcess.Start(folder);
        await mira.WaitUntilReadyAsync();
        using var client = mira.Http(folder.Admin);
        Assert.That((await client.GetAsync("/api/auth/validate")).StatusCode, Is.EqualTo(HttpStatusCode.OK));

        mira.Signal("TERM");
        await mira.Process.WaitForExitAsync();
        Assert.That(mira.Process.ExitCode, Is.Zero);
    }
}
