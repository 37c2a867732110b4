using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>What a body says it is, and what the caller takes as the answer.</summary>
internal sealed class MediaTypeTests : SharedHostTests
{
    [TestCase("text/plain")]
    [TestCase("application/x-www-form-urlencoded")]
    [TestCase("multipart/form-data; boundary=x")]
    [TestCase("text/json")]
    [TestCase("application/problem+json")]
    [TestCase("application/xml")]
    [TestCase("application/json; charset=utf-16")]
    [TestCase("application/json; charset=iso-8859-1")]
    [TestCase("application/merge-patch+json")]
    [TestCase("Application/Merge-Patch+JSON")]
    [TestCase("json")]
    [TestCase("")]
    public async Task A_body_of_another_type_is_not_read(string type) =>
        (await SendAsync("POST", "/api/keys", content: Bytes(ValidKey, ("Content-Type", type)))).ShouldBeProblem(415, "unsupported_media_type");

    [Test]
    public async Task A_body_of_no_type_is_not_read() =>
        (await SendAsync("POST", "/api/keys", content: Bytes(ValidKey))).ShouldBeProblem(415, "unsupported_media_type");

    [Test]
    public async Task A_body_of_two_types_is_not_read()
    {
        var answer = await SendRawAsync(
            $"""
             POST /api/keys HTTP/1.1
             Host: mira
             Authorization: Bearer {Mira.Admin}
             Content-Type: application/json
             Content-Type: text/plain
             Content-Length: {ValidKey.Length}
             """,
            ValidKey);
        answer.ShouldBeProblem(415, "unsupported_media_type");
    }

    [TestCase("gzip")]
    [TestCase("identity")]
    [TestCase("br")]
    public async Task An_encoded_body_is_not_read(string encoding) => (await SendAsync(
        "POST", "/api/keys", content: Bytes(ValidKey, ("Content-Type", "application/json"), ("Content-Encoding", encoding))))
        .ShouldBeProblem(415, "unsupported_media_type");

    [TestCase("application/json")]
    [TestCase("APPLICATION/JSON")]
    [TestCase("application/json; charset=UTF-8")]
    [TestCase("application/json;charset=\"utf-8\"")]
    [TestCase("application/json; profile=x")]
    public async Task A_body_of_utf_8_json_is_read(string type) =>
        Assert.That((await SendAsync("POST", "/api/keys", content: Bytes(ValidKey, ("Content-Type", type)))).Status, Is.EqualTo(201));

    [TestCase("application/merge-patch+json")]
    [TestCase("Application/Merge-Patch+JSON; charset=utf-8")]
    public async Task A_change_may_be_a_merge_patch(string type)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.Metadata = new Dictionary<string, string> { ["a"] = "1", ["b"] = "2" });
        var answer = await SendAsync(
            "PATCH", $"/api/keys/{MiraHost.IdOf(token)}", content: Bytes("""{"metadata":{"a":null,"c":"3"}}""", ("Content-Type", type)));
        Assert.That(answer.Json.GetProperty("metadata").ToString(), Is.EqualTo("""{"b":"2","c":"3"}"""));
    }

    [TestCase("text/html")]
    [TestCase("application/xml, text/plain;q=0.5")]
    [TestCase("application/json;q=0")]
    [TestCase("application/json; q=0.0, text/html")]
    [TestCase("*/*;q=0")]
    [TestCase("application/json;q=0, */*")]
    [TestCase("application/vnd.api+json")]
    [TestCase("application/problem+json")]
    public async Task Who_takes_no_json_gets_nothing_made(string accept)
    {
        var before = await CountKeysAsync();
        (await SendAsync("POST", "/api/keys", null, MiraHost.Json(ValidKey), ("Accept", accept))).ShouldBeProblem(406, "not_acceptable");
        Assert.That(await CountKeysAsync(), Is.EqualTo(before));
    }

    [TestCase("*/*")]
    [TestCase("application/*")]
    [TestCase("application/json")]
    [TestCase("Application/Json; charset=utf-8")]
    [TestCase("text/html, application/json;q=0.1")]
    [TestCase("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")]
    [TestCase("application/json;q=0.1, text/json")]
    [TestCase("application/json; charset=utf-16")]
    [TestCase("no type at all")]
    public async Task Who_takes_json_gets_it_in_utf_8(string accept)
    {
        var answer = await SendAsync("GET", "/api/auth/validate", null, null, ("Accept", accept), ("Accept-Charset", "utf-16, iso-8859-1"));
        Assert.That(answer.Status, Is.EqualTo(200));
        Assert.That(answer.Header("Content-Type"), Is.EqualTo("application/json; charset=utf-8"));
        Assert.That(answer.Json.GetProperty("valid").GetBoolean(), Is.True);
    }

    [Test]
    public async Task A_proxy_takes_whatever_the_user_takes() =>
        Assert.That((await SendAsync("GET", "/api/auth/forward", null, null, ("Accept", "text/html"))).Status, Is.EqualTo(200));

    private static ByteArrayContent Bytes(string text, params (string Name, string Value)[] headers)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        foreach (var (name, value) in headers)
            content.Headers.TryAddWithoutValidation(name, value);
        return content;
    }
}
