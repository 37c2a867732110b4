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
        var rotated = await Admin.RotateKeyAsync(made.Key_id);
        Assert.That(await VerdictOnAsync(made.Api_key), Is.EqualTo("200"));

        await Admin.RevokeKeyAsync(made.Key_id, "leaked");
        Assert.That(await VerdictOnAsync(made.Api_key), Is.EqualTo("401 key_revoked"));
        Assert.That(await VerdictOnAsync(rotated.Api_key), Is.EqualTo("401 key_revoked"));

        var view = await Admin.GetKeyAsync(made.Key_id);
        Assert.That(
            (view.Status, view.Revoked_at, view.Revoked_by, view.Revoked_reason),
            Is.EqualTo(("revoked", (DateTimeOffset?)Now, MiraHost.IdOf(Host.Admin), "leaked")));
    }

    [Test]
    public async Task The_same_answer_comes_again_and_nothing_is_done_again()
    {
        var made = await CreateAsync();
        var first = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.Key_id}?reason=first");
        Host.Clock!.Advance(TimeSpan.FromMinutes(1));
        var second = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.Key_id}?reason=second");

        Assert.That((second.Verdict, second.Text), Is.EqualTo(("200", first.Text)));
        Assert.That(first.Json.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(new[] { "message", "key_id", "revoked_at" }));
        Assert.That((await EventsOfAsync(made.Key_id)).Select(entry => entry.Type), Is.EqualTo(new[] { "key.revoked", "key.created" }));
        Assert.That((await Admin.GetKeyAsync(made.Key_id)).Revoked_reason, Is.EqualTo("first"));
    }

    [Test]
    public async Task No_reason_is_needed()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.Key_id);
        Assert.That((await Admin.GetKeyAsync(made.Key_id)).Revoked_reason, Is.Null);
    }

    [Test]
    public async Task The_longest_reason_is_kept_in_NFC()
    {
        var made = await CreateAsync();
        await Admin.RevokeKeyAsync(made.Key_id, string.Concat(Enumerable.Repeat("e\u0301", 500)));
        Assert.That((await Admin.GetKeyAsync(made.Key_id)).Revoked_reason, Is.EqualTo(new string('\u00e9', 500)));
    }

    [TestCase(501, 'x')]
    [TestCase(1, '\u202e')]
    [TestCase(1, '\n')]
    [TestCase(1, '\u2028')]
    [TestCase(1, '\u0000')]
    public async Task A_reason_outside_the_rules_is_refused(int count, char character)
    {
        var made = await CreateAsync();
        var answer = await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.Key_id}?reason=a{Uri.EscapeDataString(new string(character, count))}");
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { "reason" }));
        Assert.That((await Admin.GetKeyAsync(made.Key_id)).Status, Is.EqualTo("active"));
    }

    [Test]
    public async Task Two_reasons_are_one_too_many()
    {
        var made = await CreateAsync();
        Assert.That((await AdminHttp.CallAsync("DELETE", $"/api/keys/{made.Key_id}?reason=a&reason=b")).Verdict, Is.EqualTo("400 invalid_parameter"));
    }

    [Test]
    public async Task An_expired_or_disabled_key_can_be_revoked()
    {
        var expired = await CreateAsync(days: 1);
        var disabled = await CreateAsync();
        await Admin.UpdateKeyAsync(disabled.Key_id, new UpdateKey { Disabled = true });
        Host.Clock!.Advance(TimeSpan.FromDays(1));
        foreach (var key in new[] { expired, disabled })
        {
            await Admin.RevokeKeyAsync(key.Key_id);
            Assert.That((await Admin.GetKeyAsync(key.Key_id)).Status, Is.EqualTo("revoked"));
        }
    }

    [Test]
    public async Task A_key_may_revoke_itself_while_another_admin_remains()
    {
        var made = await CreateAsync("admin");
        await Host.Client(made.Api_key).RevokeKeyAsync(made.Key_id);
        Assert.That(await VerdictOnAsync(made.Api_key), Is.EqualTo("401 key_revoked"));
        Assert.That((await Admin.GetKeyAsync(made.Key_id)).Revoked_by, Is.EqualTo(made.Key_id));
    }
}
