using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Access;

/// <summary>What a proxy is told of the caller at its door.</summary>
internal sealed class ForwardTests : SharedHostTests
{
    private const string Path = "/api/auth/forward";

    private string _viewer = "";
    private string _operator = "";

    [OneTimeSetUp]
    public async Task MakeKeys()
    {
        _viewer = await Mira.NewKeyAsync("viewer", key =>
        {
            key.Name = "Łódź, 100 %\"🔑";
            key.Owner = "a/b c+d";
            key.Permissions = ["documents:*"];
        });
        _operator = await Mira.NewKeyAsync("operator");
    }

    [TestCase("GET")]
    [TestCase("HEAD")]
    [TestCase("POST")]
    [TestCase("PUT")]
    [TestCase("PATCH")]
    [TestCase("DELETE")]
    [TestCase("OPTIONS")]
    [TestCase("TRACE")]
    [TestCase("PROPFIND")]
    public async Task Any_method_is_answered_with_the_caller_in_headers(string method)
    {
        foreach (var path in new[] { Path, Path + "/", Path + "/some/path?a=b", Path + "//", Path + "/x%2Fy/%20" })
        {
            var answer = await SendAsync(method, path, _viewer);
            Assert.That((answer.Status, answer.Body), Is.EqualTo((200, "")), path);
            Assert.That(answer.Header("X-Mira-Key-Id"), Is.EqualTo(MiraHost.IdOf(_viewer)));
            Assert.That(answer.Header("X-Mira-Key-Name"), Is.EqualTo("%C5%81%C3%B3d%C5%BA%2C%20100%20%25%22%F0%9F%94%91"));
            Assert.That(answer.Header("X-Mira-Role"), Is.EqualTo("viewer"));
            Assert.That(answer.Header("X-Mira-Owner"), Is.EqualTo("a%2Fb%20c%2Bd"));
            answer.ShouldHaveCommonHeaders();
        }
    }

    [Test]
    public async Task A_key_of_nobody_has_a_hyphen_for_an_owner()
    {
        var answer = await SendAsync("GET", Path, _operator);
        Assert.That(answer.Header("X-Mira-Owner"), Is.EqualTo("-"));
    }

    [Test]
    public async Task What_a_caller_says_of_itself_does_not_count()
    {
        var answer = await SendAsync(
            "GET", Path, _viewer, null, ("X-Mira-Role", "admin"), ("X-Mira-Key-Id", "mira_key_000000000000"), ("X-Mira-Owner", "root"));
        Assert.That(answer.Header("X-Mira-Role"), Is.EqualTo("viewer"));
        Assert.That(answer.Header("X-Mira-Key-Id"), Is.EqualTo(MiraHost.IdOf(_viewer)));
        Assert.That(answer.Header("X-Mira-Owner"), Is.EqualTo("a%2Fb%20c%2Bd"));
    }

    [TestCase("?role=viewer", 200, 200)]
    [TestCase("?role=operator", 403, 200)]
    [TestCase("?role=admin", 403, 403)]
    [TestCase("?role=viewer&role=operator", 403, 200)]
    [TestCase("?role=operator&role=viewer", 403, 200)]
    [TestCase("?role=admin&role=viewer", 403, 403)]
    [TestCase("?role=", 403, 403)]
    [TestCase("?role", 403, 403)]
    [TestCase("?role=king", 403, 403)]
    [TestCase("?role=Viewer", 403, 403)]
    [TestCase("?role=viewer&role=", 403, 403)]
    [TestCase("?role=viewer,operator", 403, 403)]
    [TestCase("?permission=keys:read", 200, 200)]
    [TestCase("?permission=keys%3Averify", 403, 200)]
    [TestCase("?permission=documents:read", 200, 403)]
    [TestCase("?permission=documents:read&permission=keys:read", 200, 403)]
    [TestCase("?permission=keys:read&permission=keys:verify", 403, 200)]
    [TestCase("?permission=documents:*", 403, 403)]
    [TestCase("?permission=*", 403, 403)]
    [TestCase("?permission=", 403, 403)]
    [TestCase("?permission=nonsense", 403, 403)]
    [TestCase("?role=viewer&permission=documents:read", 200, 403)]
    [TestCase("?role=operator&permission=documents:read", 403, 403)]
    [TestCase("?other=a&other=b", 200, 200)]
    public async Task The_query_demands(string query, int viewer, int @operator)
    {
        Judge(await SendAsync("GET", Path + query, _viewer), viewer);
        Judge(await SendAsync("GET", $"{Path}/{query}", _operator), @operator);
    }

    [TestCase("viewer", null, 200, 200)]
    [TestCase("operator", null, 403, 200)]
    [TestCase("viewer, operator", null, 403, 200)]
    [TestCase("", null, 403, 403)]
    [TestCase("king", null, 403, 403)]
    [TestCase(null, "documents:read", 200, 403)]
    [TestCase(null, "keys:read,keys:verify", 403, 200)]
    [TestCase(null, "documents:*", 403, 403)]
    [TestCase(null, "", 403, 403)]
    [TestCase("operator", "keys:verify", 403, 200)]
    public async Task The_proxys_headers_demand_with_a_further_path_and_without(string? role, string? permission, int viewer, int @operator)
    {
        List<(string, string)> headers = [];
        if (role is not null)
            headers.Add(("Mira-Require-Role", role));
        if (permission is not null)
            headers.Add(("Mira-Require-Permission", permission));
        foreach (var path in new[] { Path, Path + "/a/b", Path + "/a?role=admin&permission=no" })
        {
            Judge(await SendAsync("GET", path, _viewer, null, [.. headers]), viewer);
            Judge(await SendAsync("GET", path, _operator, null, [.. headers]), @operator);
        }
    }

    [Test]
    public async Task Header_and_query_hold_together() =>
        Judge(await SendAsync("GET", Path + "?role=viewer", _viewer, null, ("Mira-Require-Role", "operator")), 403);

    [TestCase("?role=admin")]
    [TestCase("?role=")]
    [TestCase("?api_key=abc")]
    [TestCase("?access_token=abc&access_token=def")]
    [TestCase("?permission=no:way")]
    public async Task Behind_a_further_path_the_query_is_the_users(string query) =>
        Judge(await SendAsync("GET", $"{Path}/their/path{query}", _viewer), 200);

    [Test]
    public async Task What_is_a_bad_request_elsewhere_is_no_access_here()
    {
        Judge(await SendAnyAsync("GET", Path), 401, "missing_credentials");
        Judge(await SendAnyAsync("GET", Path + "/a?b=c"), 401, "missing_credentials");
        Judge(await SendAnyAsync("POST", Path, [("X-API-Key", "bad")]), 401, "invalid_key");
        Judge(await SendAnyAsync("GET", Path, [("X-API-Key", _viewer), ("Authorization", $"Bearer {_viewer}")]), 401, "ambiguous_credentials");
        Judge(await SendAsync("GET", Path + "?api_key=abc", _viewer), 401, "credentials_in_query");
        Judge(await SendAsync("GET", Path + "?role=king", _viewer), 403, "insufficient_permission");
    }

    [Test]
    public async Task A_key_that_ended_is_told_why()
    {
        var token = await Mira.NewKeyAsync("viewer");
        await SendAsync("DELETE", $"/api/keys/{MiraHost.IdOf(token)}");
        Judge(await SendAsync("GET", Path, token), 401, "key_revoked");
        var elsewhere = await Mira.NewKeyAsync("viewer", key => key.AllowedIps = ["10.0.0.1"]);
        Judge(await SendAsync("GET", Path, elsewhere), 403, "ip_not_allowed");
    }

    [Test]
    public async Task A_superseded_secret_opens_and_says_so()
    {
        var old = await Mira.NewKeyAsync("admin");
        await PostAsync($"/api/keys/{MiraHost.IdOf(old)}/rotate", "{}");
        var answer = await SendAsync("GET", Path + "?role=admin", old);
        Assert.That(answer.Status, Is.EqualTo(200));
        Assert.That(answer.Header("Mira-Key-Superseded"), Is.Not.Null);
    }

    [Test]
    public async Task No_body_is_read()
    {
        foreach (var framing in new[] { "Content-Length: 1000000000", "Transfer-Encoding: chunked", "Content-Length: 5\nContent-Encoding: gzip\nContent-Type: text/x" })
        {
            var answer = await SendRawAsync($"POST {Path}/upload HTTP/1.1\nHost: mira\nX-API-Key: {_viewer}\n{framing}");
            Assert.That(answer.Status, Is.EqualTo(200), framing);
        }
    }

    // A proxy that appends the user's path must not be led to another endpoint, whose 200 it would take for a yes.
    [TestCase("/../../../health/live")]
    [TestCase("/../../../swagger/v1/swagger.json")]
    [TestCase("/secret/../../../../health/live")]
    [TestCase("/%2e%2e/%2e%2e/%2E%2E/health/live")]
    [TestCase("/..%2f../../../../health/live")]
    [TestCase("/../../../")]
    [TestCase("/../validate")]
    [TestCase("/../../keys")]
    [TestCase("/../nothing")]
    public async Task A_path_that_climbs_out_opens_nothing(string climb)
    {
        foreach (var credential in new[] { "X-Nothing: 1", $"X-API-Key: {Mira.Admin}", "X-API-Key: bad" })
        {
            var answer = await SendRawAsync($"GET {Path}{climb} HTTP/1.1\nHost: mira\n{credential}");
            if (answer.Status == 200)
                Assert.That(answer.Header("X-Mira-Key-Id"), Is.EqualTo(MiraHost.IdOf(Mira.Admin)), climb);
            else
                Assert.That(answer.Status, Is.EqualTo(401).Or.EqualTo(403), climb);
        }
    }

    private static void Judge(WireAnswer answer, int status, string? code = null)
    {
        if (status == 200)
        {
            Assert.That(answer.Status, Is.EqualTo(200), answer.Body);
            return;
        }

        answer.ShouldBeProblem(status, code ?? "insufficient_permission");
        Assert.That(answer.Headers.Where(header => header.Name.StartsWith("X-Mira", StringComparison.OrdinalIgnoreCase)), Is.Empty);
        if (status == 401)
            Assert.That(answer.Header("WWW-Authenticate"), Does.StartWith("Bearer realm=\"mira\""));
    }
}
