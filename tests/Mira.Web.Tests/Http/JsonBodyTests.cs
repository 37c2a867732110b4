using System.Net.Http.Headers;
using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>What a body must be before anybody looks at what it says.</summary>
internal sealed class JsonBodyTests : SharedHostTests
{
    private const string Role = "\"role\":\"viewer\"";

    [TestCase("", TestName = "Nothing")]
    [TestCase(" \n", TestName = "Blanks")]
    [TestCase("{", TestName = "Broken off")]
    [TestCase("{\"name\":}", TestName = "No value")]
    [TestCase("{name:\"a\"}", TestName = "No quotes")]
    [TestCase("{'name':'a'}", TestName = "Single quotes")]
    [TestCase("{\"name\":\"a\"," + Role + ",}", TestName = "Trailing comma")]
    [TestCase("{\"name\":\"a\"," + Role + "} x", TestName = "Trailing text")]
    [TestCase("{\"name\":\"a\"," + Role + "}{}", TestName = "Two objects")]
    [TestCase("{/* why */\"name\":\"a\"," + Role + "}", TestName = "Comment")]
    [TestCase("\uFEFF{\"name\":\"a\"," + Role + "}", TestName = "Byte order mark")]
    [TestCase("null", TestName = "Null")]
    [TestCase("[]", TestName = "Array")]
    [TestCase("[{\"name\":\"a\"," + Role + "}]", TestName = "Object in an array")]
    [TestCase("\"text\"", TestName = "Text")]
    [TestCase("1", TestName = "Number")]
    [TestCase("{\"name\":1," + Role + "}", TestName = "Number for text")]
    [TestCase("{\"name\":{}," + Role + "}", TestName = "Object for text")]
    [TestCase("{\"name\":[\"a\"]," + Role + "}", TestName = "Array for text")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":\"90\"}", TestName = "Number in text")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":1.5}", TestName = "Fraction")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":1e2}", TestName = "Exponent")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":090}", TestName = "Leading zero")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":NaN}", TestName = "Not a number")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"expiry_days\":true}", TestName = "Truth value for number")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"never_expires\":\"true\"}", TestName = "Truth value in text")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"never_expires\":1}", TestName = "Number for truth value")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"permissions\":\"a:b\"}", TestName = "Text for array")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"permissions\":[1]}", TestName = "Number in array of text")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"metadata\":[]}", TestName = "Array for object")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"metadata\":{\"a\":1}}", TestName = "Number in pairs of text")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"metadata\":{\"a\":{}}}", TestName = "Object in pairs of text")]
    [TestCase("{\"name\":\"\\ud800\"," + Role + "}", TestName = "Lone high surrogate")]
    [TestCase("{\"name\":\"\\udc00a\"," + Role + "}", TestName = "Lone low surrogate")]
    [TestCase("{\"\\ud800\":\"a\"," + Role + "}", TestName = "Lone surrogate in a name")]
    [TestCase("{\"name\":\"a\"," + Role + ",\"metadata\":{\"\\udfff\":\"a\"}}", TestName = "Lone surrogate in a pair")]
    [TestCase("{\"name\":\"a\u0001\"," + Role + "}", TestName = "Raw control character")]
    [TestCase("{\"name\":\"\\x41\"," + Role + "}", TestName = "Unknown escape")]
    public async Task Is_malformed_json(string body) => (await PostAsync("/api/keys", body)).ShouldBeProblem(400, "malformed_json");

    [Test]
    public async Task Bytes_that_are_not_utf_8_are_malformed_json()
    {
        byte[] body = [.. "{\"name\":\""u8, 0xC3, 0x28, .. "\",\"role\":\"viewer\"}"u8];
        using var content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        (await SendAsync("POST", "/api/keys", content: content)).ShouldBeProblem(400, "malformed_json");
    }

    // A duplicate behind it tells the two apart: whether the text was read to its end, or only down to the limit.
    [TestCase(16, "duplicate_property")]
    [TestCase(17, "malformed_json")]
    [TestCase(20_000, "malformed_json")]
    public async Task Sixteen_levels_are_read_and_no_more(int depth, string code)
    {
        var nested = new string('[', depth - 1) + new string(']', depth - 1);
        (await PostAsync("/api/keys", $$"""{"name":"a","metadata":{{nested}},"name":"b"}""")).ShouldBeProblem(400, code);
    }

    [TestCase("/api/keys", "{\"name\":\"a\"," + Role + ",\"colour\":1}")]
    [TestCase("/api/keys", "{\"name\":\"a\"," + Role + ",\"\":1}")]
    [TestCase("/api/keys", "{\"Name\":\"a\"," + Role + "}")]
    [TestCase("/api/keys", "{\"name\":\"a\",\"ROLE\":\"viewer\"}")]
    [TestCase("/api/keys", "{\"name\":\"a\"," + Role + ",\"expiryDays\":1}")]
    [TestCase("/api/keys", "{\"name\":\"a\"," + Role + ",\"key_id\":\"mira_key_000000000000\"}")]
    [TestCase("/api/keys", "{\"name\":\"a\"," + Role + ",\"repeat\":null}")]
    [TestCase("/api/keys/mira_key_000000000000/rotate", "{\"grace\":1}")]
    [TestCase("/api/keys/mira_key_000000000000/rotate", "{\"if_match\":null}")]
    [TestCase("/api/keys/verify", "{\"api_key\":\"a\",\"address\":\"10.0.0.1\"}")]
    [TestCase("/api/keys/verify", "{\"api_key\":\"a\",\"demand\":null}")]
    public async Task A_property_nobody_knows_is_refused(string path, string body) =>
        (await PostAsync(path, body)).ShouldBeProblem(400, "unknown_property");

    [TestCase("""{"version":3}""")]
    [TestCase("""{"key_id":"mira_key_000000000000"}""")]
    [TestCase("""{"merges_metadata":true}""")]
    [TestCase("""{"Disabled":true}""")]
    public async Task A_change_has_no_such_property_either(string body) =>
        (await SendAsync("PATCH", "/api/keys/mira_key_000000000000", content: MiraHost.Json(body))).ShouldBeProblem(400, "unknown_property");

    [TestCase("""{"name":"a","name":"b","role":"viewer"}""")]
    [TestCase("""{"name":"a","name":"a","role":"viewer"}""")]
    [TestCase("""{"name":"a","n\u0061me":"b","role":"viewer"}""")]
    [TestCase("""{"name":"a","role":"viewer","metadata":{"x":"1","x":"2"}}""")]
    [TestCase("""{"name":"a","role":"viewer","metadata":{"x":"1","\u0078":"2"}}""")]
    [TestCase("""{"name":"a","role":"viewer","metadata":{"x":"1"},"metadata":{}}""")]
    public async Task A_property_twice_is_refused(string body)
    {
        var before = await CountKeysAsync();
        (await PostAsync("/api/keys", body)).ShouldBeProblem(400, "duplicate_property");
        Assert.That(await CountKeysAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task One_name_may_be_there_in_two_objects() =>
        Assert.That((await PostAsync("/api/keys", """{"n\u0061me":"a","role":"viewer","metadata":{"name":"b","role":"c"}}""")).Status, Is.EqualTo(201));

    [Test]
    public async Task The_error_names_the_field()
    {
        var answer = await PostAsync("/api/keys", """{"name":"a","role":"viewer","expiry_days":"90"}""");
        Assert.That(answer.Json.GetProperty("errors").GetProperty("expiry_days")[0].GetString(), Is.Not.Empty);

        var nested = await PostAsync("/api/keys", """{"name":"a","role":"viewer","metadata":{"a":1}}""");
        Assert.That(nested.Json.GetProperty("errors").EnumerateObject().Single().Name, Does.StartWith("metadata"));

        var unknown = await PostAsync("/api/keys", """{"name":"a","role":"viewer","col\"our":1}""");
        Assert.That(unknown.Json.GetProperty("errors").EnumerateObject().Single().Name, Is.EqualTo("col\"our"));
    }

    [Test]
    public async Task Text_of_the_whole_world_comes_back_as_it_was()
    {
        var answer = await PostAsync("/api/keys", """{"name":"Łódź 🔑 \ud83d\udd11 <b>","role":"viewer"}""");
        Assert.That(answer.Json.GetProperty("name").GetString(), Is.EqualTo("Łódź 🔑 🔑 <b>"));
        Assert.That(answer.Body, Does.Contain("Łódź"));
    }

    [Test]
    public async Task A_rotation_needs_no_body()
    {
        var token = await Mira.NewKeyAsync("viewer");
        Assert.That((await SendAsync("POST", $"/api/keys/{MiraHost.IdOf(token)}/rotate")).Status, Is.EqualTo(201));
        using var empty = new StringContent("", Encoding.UTF8, "application/json");
        Assert.That((await SendAsync("POST", $"/api/keys/{MiraHost.IdOf(token)}/rotate", content: empty)).Status, Is.EqualTo(201));
    }
}
