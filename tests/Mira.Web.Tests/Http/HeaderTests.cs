using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>What every answer bears, whatever it says.</summary>
internal sealed class HeaderTests : SharedHostTests
{
    private const string Header = "X-Correlation-ID";

    [TestCase("GET", "/api/auth/validate", 200)]
    [TestCase("GET", "/api/keys", 200)]
    [TestCase("GET", "/api/keys/mira_key_000000000000", 404)]
    [TestCase("GET", "/nothing", 404)]
    [TestCase("POST", "/api/keys", 400)]
    [TestCase("PUT", "/api/keys", 405)]
    [TestCase("GET", "/health", 200)]
    [TestCase("GET", "/health/live", 200)]
    [TestCase("GET", "/health/ready", 200)]
    [TestCase("GET", "/api/auth/forward", 200)]
    [TestCase("GET", "/api/auth/forward?role=king", 403)]
    [TestCase("GET", "/swagger/v1/swagger.json", 200)]
    [TestCase("GET", "/", 302)]
    public async Task Every_answer_bears_the_common_headers(string method, string path, int status)
    {
        var answer = await SendAsync(method, path);
        Assert.That(answer.Status, Is.EqualTo(status));
        answer.ShouldHaveCommonHeaders();
    }

    [TestCase("a")]
    [TestCase("0123456789-ABC_def.xyz")]
    [TestCase("mira_key_000000000000")]
    [TestCase("0123456789012345678901234567890123456789012345678901234567890123")]
    public async Task A_good_correlation_id_comes_back(string id)
    {
        Assert.That((await SendAsync("GET", "/api/auth/validate", null, null, (Header, id))).Header(Header), Is.EqualTo(id));
        Assert.That((await SendAnyAsync("GET", "/api/auth/validate", [(Header, id)])).Header(Header), Is.EqualTo(id));
    }

    [TestCase("")]
    [TestCase("with blank")]
    [TestCase("semi;colon")]
    [TestCase("<script>")]
    [TestCase("{\"a\":1}")]
    [TestCase("01234567890123456789012345678901234567890123456789012345678901234")]
    [TestCase("mira_key_000000000000_0123456789012345678901234567890123456789")]
    public async Task Any_other_is_replaced(string id)
    {
        var answer = await SendAsync("GET", "/api/auth/validate", null, null, (Header, id));
        Assert.That(answer.Header(Header), Is.Not.EqualTo(id));
        answer.ShouldHaveCommonHeaders();
    }

    [Test]
    public async Task Two_are_none()
    {
        var answer = await SendRawAsync("GET /health/live HTTP/1.1\nHost: mira\nX-Correlation-ID: one\nX-Correlation-ID: two");
        Assert.That(answer.Header(Header), Is.Not.AnyOf("one", "two", "one, two", "one,two"));
        answer.ShouldHaveCommonHeaders();
    }

    [Test]
    public async Task Each_call_gets_one_of_its_own()
    {
        var first = await SendAsync("GET", "/api/auth/validate");
        var second = await SendAsync("GET", "/api/auth/validate");
        Assert.That(first.Header(Header), Is.Not.EqualTo(second.Header(Header)));
    }

    [Test]
    public async Task The_id_goes_into_the_audit_trail()
    {
        var id = $"test-{Guid.NewGuid():N}";
        await SendAsync("POST", "/api/keys", null, MiraHost.Json(ValidKey), (Header, id));
        var events = (await SendAsync("GET", "/api/audit")).Json.GetProperty("events").EnumerateArray();
        Assert.That(events.Count(entry => entry.GetProperty("correlation_id").GetString() == id), Is.EqualTo(1));
    }

    [TestCase("GET", "/api/keys/mira_key_000000000000", "", 404, "key_not_found")]
    [TestCase("GET", "/api/keys?limit=0", "", 400, "invalid_parameter")]
    [TestCase("POST", "/api/keys", """{"name":"a","role":"viewer","expiry_days":0}""", 400, "validation_failed")]
    [TestCase("POST", "/api/keys/verify", "{}", 400, "validation_failed")]
    public async Task Every_error_has_one_form(string method, string path, string body, int status, string code)
    {
        var answer = await SendAsync(method, path, content: body.Length == 0 ? null : MiraHost.Json(body));
        answer.ShouldBeProblem(status, code);
        Assert.That(answer.Json.TryGetProperty("errors", out _), Is.EqualTo(status == 400));
    }
}
