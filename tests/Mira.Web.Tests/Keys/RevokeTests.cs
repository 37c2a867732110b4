using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>The end of a key.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class RevokeTests : SharedHost
{
    [Test]
    public async Task A_revoked_key_is_refused_at_once_with_all_its_secrets()
    {
        var made = await CreateAsync();
        var rotated = await Admin.RotateKeyAsync(made.KeyId);
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));

        await Admin.RevokeKeyAsync(made.KeyId, "leaked");
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_revoked"));
        Assert.That(await VerdictOnAsync(rotated.ApiKey), Is.EqualTo("401 key_revoked"));

        var view = await Admin.GetKeyAsync(made.KeyId);
        Assert.That(
            (view.Status, view.RevokedAt, view.RevokedBy, view.RevokedReason),
            Is.EqualTo(("revoked", (DateTimeOffset?)Now, MiraHost.IdOf(Host.Admin), "leaked")));
    }

    [Test]
    public async Task The_same_answer_comes_again_and_nothing_is_done_again()
    {
        var made = await CreateAsync();
        var first = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.KeyId}?reason=first");
        Host.Clock!.Advance(TimeSpan.FromMinutes(1));
        var second = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.KeyId}?reason=second");

        Assert.That((second.Verdict, second.Text), Is.EqualTo(("200", first.Text)));
        Assert.That(first.Json.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(new[] { "message", "key_id", "revoked_at" }));
        Assert.That((await EventsOfAsync(made.KeyId)).Select(entry => entry.Type), Is.EqualTo(new[] { "key.revoked", "key.created" }));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).RevokedReason, Is.EqualTo("first"));
    }

    [Test]
    public async Task No_reason_is_needed()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.KeyId);
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).RevokedReason, Is.Null);
    }

    [Test]
    public async Task The_longest_reason_is_kept_in_NFC()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.KeyId, string.Concat(Enumerable.Repeat("e\u0301", 500)));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).RevokedReason, Is.EqualTo(new string('\u00e9', 500)));
    }

    [TestCase(501, 'x')]
    [TestCase(1, '\u202e')]
    [TestCase(1, '\n')]
    [TestCase(1, '\u2028')]
    [TestCase(1, '\u0000')]
    public async Task A_reason_outside_the_rules_is_refused(int count, char character)
    {
        var made = await CreateAsync();
        var answer = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.KeyId}?reason=a{Uri.EscapeDataString(new string(character, count))}");
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { "reason" }));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Status, Is.EqualTo("active"));
    }

    [Test]
    public async Task Two_reasons_are_one_too_many()
    {
        var made = await CreateAsync();
        Assert.That((await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.KeyId}?reason=a&reason=b")).Verdict, Is.EqualTo("400 invalid_parameter"));
    }

    [Test]
    public async Task An_expired_or_disabled_key_can_be_revoked()
    {
        var expired = await CreateAsync(days: 1);
        var disabled = await CreateAsync();
        await Admin.UpdateKeyAsync(disabled.KeyId, new UpdateKey { Disabled = true });
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        foreach (var key in new[] { expired, disabled })
        {
            await Admin.RevokeKeyAsync(key.KeyId);
            Assert.That((await Admin.GetKeyAsync(key.KeyId)).Status, Is.EqualTo("revoked"));
        }
    }

    [Test]
    public async Task A_key_may_revoke_itself_while_another_admin_remains()
    {
        var made = await CreateAsync("admin");
        await Host.Client(made.ApiKey).RevokeKeyAsync(made.KeyId);
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("401 key_revoked"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).RevokedBy, Is.EqualTo(made.KeyId));
    }
}
