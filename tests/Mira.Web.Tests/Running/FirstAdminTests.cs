using System.Text.RegularExpressions;
using Mira.Application.Settings;
using Mira.Infrastructure.Files;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Running;

/// <summary>The one key that nobody had to ask for, and the one process that may make it.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class FirstAdminTests
{
    private const string Token = "mira_key_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}";

    [Test]
    public async Task It_is_shown_once_on_standard_error_and_never_again()
    {
        using var folder = new TestFolder();
        string token;
        await using (var mira = MiraProcess.Start(folder, ("MIRA_BOOTSTRAP_KEY_FILE", "")))
        {
            await mira.WaitUntilReadyAsync();
            token = Regex.Matches(mira.Error, Token).Single().Value;
            Assert.That(mira.Output, Does.Not.Match(Token));
            using var client = mira.Http(token);
            Assert.That(await client.GetStringAsync("/api/auth/validate"), Does.Contain("\"role\":\"admin\""));
            mira.Signal("TERM");
            await mira.Process.WaitForExitAsync();
        }

        Assert.That(File.Exists(folder.AdminFile), Is.False);
        await using var again = MiraProcess.Start(folder, ("MIRA_BOOTSTRAP_KEY_FILE", ""));
        await again.WaitUntilReadyAsync();
        Assert.That(again.Error + again.Output, Does.Not.Match(Token));
        using var same = again.Http(token);
        Assert.That(await same.GetStringAsync("/api/keys"), Does.Match("\"keys\":\\[[^\\]]*\"first admin\"").And.Not.Match("first admin.*first admin"));
    }

    [Test]
    public async Task A_file_left_by_a_crash_is_replaced_while_there_is_no_key_and_kept_once_there_is()
    {
        using var folder = new TestFolder();
        await File.WriteAllTextAsync(folder.AdminFile, "left behind");
        await using (var mira = MiraHost.Start(folder: folder))
            Assert.That((await mira.Client().ValidateKeyAsync()).Role, Is.EqualTo("admin"));

        Assert.That(File.GetUnixFileMode(folder.AdminFile), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        await File.WriteAllTextAsync(folder.AdminFile, "the user's own");
        await using (MiraHost.Start(folder: folder))
            Assert.That(await File.ReadAllTextAsync(folder.AdminFile), Is.EqualTo("the user's own"));
    }

    [Test]
    public async Task It_lives_a_year_and_its_making_is_on_record()
    {
        await using var mira = MiraHost.Start(holdClock: true);
        var own = await mira.Client().ValidateKeyAsync();
        Assert.That(own.ExpiresAt, Is.EqualTo(mira.Clock!.GetUtcNow().AddDays(365)));
        var made = (await mira.Client().ListAuditEventsAsync(keyId: own.KeyId)).Events.Single();
        Assert.That((made.Type, made.Actor.Name, made.Actor.KeyId, made.Reason), Is.EqualTo(("key.created", "system", (string?)null, "bootstrap")));
    }

    [Test]
    public async Task Two_processes_at_once_make_one_and_the_second_takes_over_when_the_first_ends()
    {
        using var folder = new TestFolder();
        await using var one = MiraProcess.Start(folder, ("MIRA_BOOTSTRAP_KEY_FILE", ""), ("MIRA_DRAIN_SECONDS", "60"));
        await using var two = MiraProcess.Start(folder, ("MIRA_BOOTSTRAP_KEY_FILE", ""), ("MIRA_DRAIN_SECONDS", "60"));
        var first = await FirstReadyAsync(one, two);
        var second = first == one ? two : one;
        Assert.That(second.Process.HasExited, Is.False, "it waits");
        await Assert.ThrowsAsync<SettingException>(() =>
            ProcessLock.TakeAsync(Path.Combine(folder.Data, "mira.lock"), TimeSpan.Zero, TimeProvider.System, CancellationToken.None));

        first.Signal("INT");
        await first.Process.WaitForExitAsync();
        await second.WaitUntilReadyAsync();
        var token = Regex.Matches(one.Error + two.Error, Token).Single().Value;
        using var client = second.Http(token);
        Assert.That(Regex.Count(await client.GetStringAsync("/api/keys"), "\"key_id\""), Is.EqualTo(1));
    }

    private static async Task<MiraProcess> FirstReadyAsync(MiraProcess one, MiraProcess two)
    {
        MiraProcess? ready = null;
        await MiraProcess.WaitForAsync(async () => (ready = await one.IsReadyAsync() ? one : await two.IsReadyAsync() ? two : null) is not null);
        return ready!;
    }
}
