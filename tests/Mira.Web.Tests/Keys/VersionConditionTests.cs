using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>If-Match on every change of a key: only who saw its present version may change it.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class VersionConditionTests : SharedHost
{
    private static readonly string[] Changes = ["PATCH", "rotate", "DELETE"];

    private static readonly string[] Met = ["\"2\"", "*", "\"7\", \"2\"", "\"2\",\"7\"", "W/\"2\"", "W/\"7\", W/\"2\"", "\"x\", \"2\""];

    private static readonly string[] Unmet = ["\"1\"", "\"3\"", "W/\"1\"", "\"02\"", "\"\"", "\"x\"", "\"1\", \"3\"", "\"2 \"", "\"+2\"", "\"4294967298\""];

    private static readonly string[] NoTags = ["2", "\"2", "'2'", "abc", "\"1\" \"2\"", ""];

    [Test]
    public async Task A_change_of_the_version_seen_is_made([ValueSource(nameof(Changes))] string change, [ValueSource(nameof(Met))] string tag)
    {
        var id = await SecondVersionAsync();
        Assert.That((await ChangeAsync(change, id, tag)).Verdict, Is.AnyOf("200", "201"));
        Assert.That((await Admin.GetKeyAsync(id)).Version, Is.EqualTo(3));
    }

    [Test]
    public async Task A_change_of_another_version_is_refused([ValueSource(nameof(Changes))] string change, [ValueSource(nameof(Unmet))] string tag)
    {
        var id = await SecondVersionAsync();
        Assert.That((await ChangeAsync(change, id, tag)).Verdict, Is.EqualTo("412 version_mismatch"));
        Assert.That((await Admin.GetKeyAsync(id)).Version, Is.EqualTo(2));
    }

    [Test]
    public async Task What_is_no_tag_is_refused([ValueSource(nameof(Changes))] string change, [ValueSource(nameof(NoTags))] string tag)
    {
        var id = await SecondVersionAsync();
        Assert.That((await ChangeAsync(change, id, tag)).Verdict, Is.EqualTo("400 invalid_parameter"));
        Assert.That((await Admin.GetKeyAsync(id)).Version, Is.EqualTo(2));
    }

    [TestCase("If-Match: \"9\"", "If-Match: \"2\"", "200")]
    [TestCase("If-Match: \"9\"", "If-Match: \"8\"", "412")]
    public async Task Several_lines_are_one_list(string first, string second, string status)
    {
        var id = await SecondVersionAsync();
        var answer = await Host.Address.SendLinesAsync("DELETE", $"/api/keys/{id}", $"Authorization: Bearer {Host.Admin}", first, second);
        Assert.That(answer, Does.StartWith($"HTTP/1.1 {status}"));
    }

    [Test]
    public async Task Each_change_gives_the_tag_of_the_next([Values("PATCH", "rotate")] string change)
    {
        var id = await SecondVersionAsync();
        var answer = await ChangeAsync(change, id, "\"2\"");
        Assert.That(answer.Header("ETag"), Is.EqualTo("\"3\""));
        Assert.That((await AdminHttp.CallAsync("GET", $"/api/keys/{id}")).Header("ETag"), Is.EqualTo("\"3\""));
    }

    [Test]
    public async Task A_condition_comes_before_the_state_of_the_key()
    {
        var id = await SecondVersionAsync();
        await Admin.RevokeKeyAsync(id);
        Assert.That((await ChangeAsync("PATCH", id, "\"2\"")).Verdict, Is.EqualTo("412 version_mismatch"));
        Assert.That((await ChangeAsync("rotate", id, "\"2\"")).Verdict, Is.EqualTo("412 version_mismatch"));
        Assert.That((await ChangeAsync("rotate", id, "\"3\"")).Verdict, Is.EqualTo("409 key_not_active"));
    }

    [Test]
    public async Task Revoking_again_ignores_the_condition()
    {
        var id = await SecondVersionAsync();
        await Admin.RevokeKeyAsync(id);
        Assert.That((await ChangeAsync("DELETE", id, "\"1\"")).Verdict, Is.EqualTo("200"));
        Assert.That((await ChangeAsync("DELETE", id, "no tag")).Verdict, Is.EqualTo("200"));
    }

    [Test]
    public async Task Validation_comes_before_the_condition()
    {
        var id = await SecondVersionAsync();
        var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", """{"name":""}""", headers: ("If-Match", "\"1\""));
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
    }

    private async Task<string> SecondVersionAsync()
    {
        var id = (await CreateAsync()).KeyId;
        await Admin.UpdateKeyAsync(id, new Client.UpdateKey { Name = "second" });
        return id;
    }

    private Task<Reply> ChangeAsync(string change, string id, params string[] tags)
    {
        var headers = tags.Select(tag => ("If-Match", tag)).ToArray();
        return change switch
        {
            "PATCH" => AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", """{"name":"third"}""", headers: headers),
            "rotate" => AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate", headers: headers),
            _ => AdminHttp.CallAsync("DELETE", $"/api/keys/{id}", headers: headers),
        };
    }
}
