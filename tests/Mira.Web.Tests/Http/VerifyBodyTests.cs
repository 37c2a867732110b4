using System.Globalization;
using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>
/// The body of the one call that is read without a controller is held to the same rules as every other.
/// </summary>
internal sealed class VerifyBodyTests : SharedHostTests
{
    private const string Path = "/api/keys/verify";
    private const int Limit = 64 * 1024;

    private static readonly byte[] Question = """{"api_key":"a"}"""u8.ToArray();

    private string _viewer = "";

    [OneTimeSetUp]
    public async Task MakeCaller() => _viewer = await Mira.NewKeyAsync("viewer");

    [TestCase("", TestName = "Verify: nothing")]
    [TestCase(" \n", TestName = "Verify: blanks")]
    [TestCase("{", TestName = "Verify: broken off")]
    [TestCase("{\"api_key\":}", TestName = "Verify: no value")]
    [TestCase("{api_key:\"a\"}", TestName = "Verify: no quotes")]
    [TestCase("{'api_key':'a'}", TestName = "Verify: single quotes")]
    [TestCase("{\"api_key\":\"a\",}", TestName = "Verify: trailing comma")]
    [TestCase("{\"api_key\":\"a\"} x", TestName = "Verify: trailing text")]
    [TestCase("{\"api_key\":\"a\"}{}", TestName = "Verify: two objects")]
    [TestCase("{/* why */\"api_key\":\"a\"}", TestName = "Verify: comment")]
    [TestCase("\uFEFF{\"api_key\":\"a\"}", TestName = "Verify: byte order mark")]
    [TestCase("null", TestName = "Verify: null")]
    [TestCase("[]", TestName = "Verify: array")]
    [TestCase("[{\"api_key\":\"a\"}]", TestName = "Verify: object in an array")]
    [TestCase("\"text\"", TestName = "Verify: text")]
    [TestCase("1", TestName = "Verify: number")]
    [TestCase("{\"api_key\":1}", TestName = "Verify: number for text")]
    [TestCase("{\"api_key\":{}}", TestName = "Verify: object for text")]
    [TestCase("{\"api_key\":[\"a\"]}", TestName = "Verify: array for text")]
    [TestCase("{\"api_key\":\"a\",\"cost\":\"1\"}", TestName = "Verify: number in text")]
    [TestCase("{\"api_key\":\"a\",\"cost\":1.5}", TestName = "Verify: fraction")]
    [TestCase("{\"api_key\":\"a\",\"cost\":1e2}", TestName = "Verify: exponent")]
    [TestCase("{\"api_key\":\"a\",\"cost\":01}", TestName = "Verify: leading zero")]
    [TestCase("{\"api_key\":\"a\",\"cost\":NaN}", TestName = "Verify: not a number")]
    [TestCase("{\"api_key\":\"a\",\"cost\":true}", TestName = "Verify: truth value for number")]
    [TestCase("{\"api_key\":\"a\",\"permissions\":\"a:b\"}", TestName = "Verify: text for array")]
    [TestCase("{\"api_key\":\"a\",\"permissions\":[1]}", TestName = "Verify: number in array of text")]
    [TestCase("{\"api_key\":\"a\",\"permissions\":{}}", TestName = "Verify: object for array")]
    [TestCase("{\"api_key\":\"\\ud800\"}", TestName = "Verify: lone high surrogate")]
    [TestCase("{\"api_key\":\"\\udc00a\"}", TestName = "Verify: lone low surrogate")]
    [TestCase("{\"\\ud800\":\"a\",\"api_key\":\"a\"}", TestName = "Verify: lone surrogate in a name")]
    [TestCase("{\"api_key\":\"a\u0001\"}", TestName = "Verify: raw control character")]
    [TestCase("{\"api_key\":\"\\x41\"}", TestName = "Verify: unknown escape")]
    public async Task Is_malformed_json(string body) => (await PostAsync(Path, body)).ShouldBeProblem(400, "malformed_json");

    [Test]
    public async Task Bytes_of_another_encoding_are_malformed_json()
    {
        foreach (var bytes in new[] { [.. "{\"api_key\":\""u8, 0xC3, 0x28, .. "\"}"u8], Encoding.Unicode.GetBytes("""{"api_key":"a"}"""), Encoding.BigEndianUnicode.GetBytes("""{"api_key":"a"}""") })
            (await SendAsync("POST", Path, content: Bytes(bytes, ("Content-Type", "application/json")))).ShouldBeProblem(400, "malformed_json");
    }

    // A duplicate behind it tells the two apart: whether the text was read to its end, or only down to the limit.
    [TestCase(16, "duplicate_property")]
    [TestCase(17, "malformed_json")]
    [TestCase(20_000, "malformed_json")]
    public async Task Sixteen_levels_are_read_and_no_more(int depth, string code)
    {
        var nested = new string('[', depth - 1) + new string(']', depth - 1);
        (await PostAsync(Path, $$"""{"api_key":"a","permissions":{{nested}},"api_key":"b"}""")).ShouldBeProblem(400, code);
    }

    [TestCase("""{"api_key":"a","colour":1}""", "colour")]
    [TestCase("""{"api_key":"a","":1}""", "")]
    [TestCase("""{"Api_Key":"a"}""", "Api_Key")]
    [TestCase("""{"api_key":"a","IP":"10.0.0.1"}""", "IP")]
    [TestCase("""{"apiKey":"a"}""", "apiKey")]
    [TestCase("""{"api_key":"a","$id":"1"}""", "$id")]
    [TestCase("""{"api_key":"a","address":{"ip":["10.0.0.1"]}}""", "address")]
    public async Task A_property_nobody_knows_is_refused(string body, string name)
    {
        var answer = (await PostAsync(Path, body)).ShouldBeProblem(400, "unknown_property");
        Assert.That(answer.Json.GetProperty("errors").EnumerateObject().Single().Name, Is.EqualTo(name));
    }

    [TestCase("""{"api_key":"a","api_key":"b"}""")]
    [TestCase("""{"api_key":"a","api_key":"a"}""")]
    [TestCase("""{"api_key":"a","\u0061pi_key":"b"}""")]
    [TestCase("""{"api_key":null,"api_key":"b"}""")]
    [TestCase("""{"api_key":"a","cost":1,"cost":1}""")]
    public async Task A_property_twice_is_refused(string body) => (await PostAsync(Path, body)).ShouldBeProblem(400, "duplicate_property");

    [TestCase("""{"api_key":"a","cost":"1"}""", "cost")]
    [TestCase("""{"api_key":"a","permissions":["a:b",1]}""", "permissions[1]")]
    public async Task The_error_names_the_field(string body, string name)
    {
        var answer = (await PostAsync(Path, body)).ShouldBeProblem(400, "malformed_json");
        Assert.That(answer.Json.GetProperty("errors").EnumerateObject().Single().Name, Is.EqualTo(name));
    }

    [TestCase("application/json", 200)]
    [TestCase("APPLICATION/JSON", 200)]
    [TestCase("application/json; charset=UTF-8", 200)]
    [TestCase("application/json;charset=\"utf-8\"", 200)]
    [TestCase("application/json; profile=x", 200)]
    [TestCase("text/plain", 415)]
    [TestCase("text/json", 415)]
    [TestCase("application/problem+json", 415)]
    [TestCase("application/merge-patch+json", 415)]
    [TestCase("application/json; charset=utf-16", 415)]
    [TestCase("application/json; charset=iso-8859-1", 415)]
    [TestCase("application/x-www-form-urlencoded", 415)]
    [TestCase("json", 415)]
    [TestCase("", 415)]
    [TestCase(null, 415)]
    public async Task A_body_is_read_when_it_says_that_it_is_json_in_utf_8(string? type, int status)
    {
        var answer = await SendAsync("POST", Path, content: type is null ? Bytes(Question) : Bytes(Question, ("Content-Type", type)));
        if (status == 200)
            Assert.That((answer.Status, answer.Code), Is.EqualTo((200, "invalid_key")));
        else
            answer.ShouldBeProblem(status, "unsupported_media_type");
    }

    [TestCase("gzip")]
    [TestCase("identity")]
    [TestCase("br")]
    public async Task An_encoded_body_is_not_read(string encoding) =>
        (await SendAsync("POST", Path, content: Bytes(Question, ("Content-Type", "application/json"), ("Content-Encoding", encoding))))
        .ShouldBeProblem(415, "unsupported_media_type");

    [TestCase(Limit, 0, 200)]
    [TestCase(Limit + 1, 0, 413)]
    [TestCase(10 * Limit, 0, 413)]
    [TestCase(Limit, 16, 200)]
    [TestCase(Limit, 1_000, 200)]
    [TestCase(Limit, Limit, 200)]
    [TestCase(Limit + 1, 1_000, 413)]
    [TestCase(10 * Limit, 10_000, 413)]
    public async Task A_body_is_read_up_to_64_KiB(int size, int chunk, int status)
    {
        var text = Encoding.UTF8.GetString(Question).PadRight(size);
        var answer = chunk == 0
            ? await SendRawAsync(Head($"Content-Length: {size}"), text)
            : await SendRawAsync(Head("Transfer-Encoding: chunked"), Chunked(text, chunk));
        Assert.That(answer.Status, Is.EqualTo(status), answer.Body);
        if (status == 413)
            answer.ShouldBeProblem(413, "payload_too_large");
    }

    [TestCase("ZZ\r\n")]
    [TestCase("2\r\n{}x\r\n0\r\n\r\n")]
    [TestCase("-1\r\n")]
    [TestCase("ffffffffffffffff\r\n")]
    public async Task A_bad_chunk_is_a_malformed_request(string body) =>
        (await SendRawAsync(Head("Transfer-Encoding: chunked"), body)).ShouldBeProblem(400, "malformed_request");

    [Test]
    public async Task One_connection_serves_on_after_each_refusal()
    {
        using var connection = await RawHttp.ConnectAsync(Mira.Address);
        foreach (var (type, body, status) in new[] { ("text/plain", "{}", 415), ("application/json", "{", 400), ("application/json", "{}", 400), ("application/json", """{"api_key":"a"}""", 200) })
        {
            await connection.WriteAsync(RawHttp.Head(Head($"Content-Length: {body.Length}", type).Split('\n')));
            await connection.WriteAsync(Encoding.UTF8.GetBytes(body));
            Assert.That((await connection.ReadAsync()).Status, Is.EqualTo(status), body);
        }
    }

    [Test]
    public async Task Who_may_not_ask_is_told_so_before_the_body_is_read()
    {
        (await SendRawAsync($"POST {Path} HTTP/1.1\nHost: mira\nContent-Type: text/plain\nContent-Encoding: gzip\nContent-Length: 1000000000", "{{{{"))
            .ShouldBeProblem(401, "missing_credentials");
        (await SendRawAsync($"POST {Path} HTTP/1.1\nHost: mira\nAuthorization: Bearer {_viewer}\nContent-Type: text/plain\nContent-Length: 1000000000", "{{{{"))
            .ShouldBeProblem(403, "insufficient_permission");
    }

    [Test]
    public async Task The_type_comes_before_the_size_the_size_before_the_text_and_the_text_before_what_it_says()
    {
        (await SendRawAsync(Head("Content-Length: 70000", "text/plain"))).ShouldBeProblem(415, "unsupported_media_type");
        (await SendRawAsync(Head("Content-Length: 70000"))).ShouldBeProblem(413, "payload_too_large");
        (await PostAsync(Path, """{"colour":1,"cost":-1}""")).ShouldBeProblem(400, "unknown_property");
        (await PostAsync(Path, """{"cost":-1,"permissions":["*"],"ip":"x"}""")).ShouldBeProblem(400, "validation_failed");
    }

    [TestCase("text/html")]
    [TestCase("application/json;q=0")]
    public async Task Who_takes_no_json_is_not_answered(string accept) =>
        (await SendAsync("POST", Path, null, MiraHost.Json("{}"), ("Accept", accept))).ShouldBeProblem(406, "not_acceptable");

    private static ByteArrayContent Bytes(byte[] bytes, params (string Name, string Value)[] headers)
    {
        var content = new ByteArrayContent(bytes);
        foreach (var (name, value) in headers)
            content.Headers.TryAddWithoutValidation(name, value);
        return content;
    }

    private static string Chunked(string text, int size)
    {
        var body = new StringBuilder();
        foreach (var part in text.Chunk(size))
            body.Append(CultureInfo.InvariantCulture, $"{part.Length:x}\r\n").Append(part).Append("\r\n");
        return body.Append("0\r\n\r\n").ToString();
    }

    private string Head(string framing, string type = "application/json") =>
        $"POST {Path} HTTP/1.1\nHost: mira\nAuthorization: Bearer {Mira.Admin}\nContent-Type: {type}\n{framing}";
}
