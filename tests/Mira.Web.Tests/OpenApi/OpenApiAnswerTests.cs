using System.Text.Json.Nodes;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.OpenApi;

/// <summary>An answer that the document does not describe is seen, wherever the difference is.</summary>
internal sealed class OpenApiAnswerTests
{
    private const string Json = "application/json; charset=utf-8";
    private const string Revoked = """{"message":"a","key_id":"b","revoked_at":"2030-01-01T12:00:00.000Z"}""";
    private const string Health = """{"status":"healthy","details":null}""";

    [TestCase("DELETE", "/api/keys/mira_key_a?reason=x", 200, Json, Revoked)]
    [TestCase("GET", "/health", 200, Json, Health)]
    [TestCase("GET", "/health", 503, Json, """{"status":"unhealthy","details":null}""")]
    [TestCase("HEAD", "/health", 200, Json, "")]
    [TestCase("GET", "/api/auth/forward/a/b?c", 200, null, "")]
    [TestCase("PROPFIND", "/api/auth/forward", 200, null, "")]
    [TestCase("GET", "/swagger/", 200, "text/html", "<html>")]
    [TestCase("GET", "/api/audit/export", 200, "text/csv; charset=utf-8", "a,b")]
    public void What_is_described_passes(string method, string target, int status, string? type, string body) =>
        Assert.That(DescribedAnswers.Committed.FaultOf(method, target, status, type, body), Is.Null);

    [TestCase("DELETE", "/api/keys/mira_key_a", 204, null, "", "no such status")]
    [TestCase("DELETE", "/api/keys/mira_key_a", 200, "text/plain", Revoked, "no such media type")]
    [TestCase("DELETE", "/api/keys/mira_key_a", 200, null, "", "no such media type")]
    [TestCase("GET", "/api/nothing", 200, Json, "{}", "no such operation")]
    [TestCase("GET", "/api/auth/forward", 200, Json, "{}", "no body")]
    [TestCase("GET", "/api/auth/forward", 404, null, "", "no such status")]
    public void What_is_not_described_is_seen(string method, string target, int status, string? type, string body, string fault) =>
        Assert.That(DescribedAnswers.Committed.FaultOf(method, target, status, type, body), Is.EqualTo(fault));

    [TestCase("""{"message":"a","key_id":"b"}""", "revoked_at", TestName = "A property is missing")]
    [TestCase("""{"message":"a","key_id":"b","revoked_at":null}""", "revoked_at", TestName = "Null where none may be")]
    [TestCase("""{"message":"a","key_id":"b","revoked_at":"yesterday"}""", "revoked_at", TestName = "A time that is none")]
    [TestCase("""{"message":1,"key_id":"b","revoked_at":"2030-01-01T12:00:00Z"}""", "message", TestName = "A number for text")]
    [TestCase("""{"message":"a","key_id":"b","revoked_at":"2030-01-01T12:00:00Z","hash":"c"}""", "hash", TestName = "A property too many")]
    public void A_body_of_another_form_is_seen(string body, string place) =>
        Assert.That(DescribedAnswers.Committed.FaultOf("DELETE", "/api/keys/mira_key_a", 200, Json, body), Does.Contain(place));

    [TestCase("key_expired", null)]
    [TestCase("rate_limited", "no such code: rate_limited")]
    public void A_code_that_is_not_described_is_seen(string code, string? fault)
    {
        var body = $$"""{"type":"urn:mira:problem:{{code}}","title":"a","status":401,"detail":"b","code":"{{code}}","trace_id":"c"}""";
        Assert.That(DescribedAnswers.Committed.FaultOf("GET", "/api/keys", 401, "application/problem+json", body), Is.EqualTo(fault));
    }

    [Test]
    public void A_schema_that_forbids_the_null_that_comes_is_seen()
    {
        var document = JsonNode.Parse(RepositoryFiles.Read("docs", "openapi.json"))!;
        document["components"]!["schemas"]!["Health"]!["properties"]!["details"] =
            JsonNode.Parse("""{"type":"object","allOf":[{"$ref":"#/components/schemas/HealthDetails"}],"nullable":true}""");
        document["components"]!["schemas"]!["HealthDetails"]!.AsObject().Remove("nullable");
        Assert.That(new DescribedAnswers(document).FaultOf("GET", "/health", 200, Json, Health), Does.Contain("/details"));
    }
}
