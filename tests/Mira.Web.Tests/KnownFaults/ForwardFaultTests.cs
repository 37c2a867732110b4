using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>What proxies in front of applications met.</summary>
internal sealed class ForwardFaultTests : SharedHostTests
{
    private const string Path = "/api/auth/forward";

    private string _viewer = "";

    protected override (string Name, string Value)[] Settings => [("CORS_ENABLED", "true"), ("CORS_ORIGINS", "https://console.example")];

    [OneTimeSetUp]
    public async Task MakeKey() => _viewer = await Mira.NewKeyAsync("viewer");

    /// <summary>The fault: a preflight was let in without a key.</summary>
    [Test]
    public async Task A_preflight_needs_a_key()
    {
        foreach (var origin in (string[])["https://console.example", "https://elsewhere.example"])
        {
            var answer = await SendAnyAsync("OPTIONS", Path, [("Origin", origin), ("Access-Control-Request-Method", "DELETE")]);
            answer.ShouldBeProblem(401, "missing_credentials");
            Assert.That(answer.Headers.Select(header => header.Name), Has.None.StartsWith("Access-Control"));
        }
    }

    /// <summary>
    /// The fault: for a key without an owner, the application believed an owner that the caller had named.
    /// </summary>
    [TestCase(null, "-")]
    [TestCase("-", "%2D")]
    [TestCase("--", "--")]
    [TestCase(" - ", "%20-%20")]
    [TestCase("%2D", "%252D")]
    public async Task A_caller_cannot_name_the_owner_of_a_key(string? owner, string shown)
    {
        var token = await Mira.NewKeyAsync("viewer", key => key.Owner = owner);
        var answer = await SendAsync("GET", Path, token, null, ("X-Mira-Owner", "evil"));
        Assert.That(answer.Header("X-Mira-Owner"), Is.EqualTo(shown));
        Assert.That(answer.Headers.Where(header => header.Name.StartsWith("X-Mira-", StringComparison.Ordinal)).Select(header => header.Value), Has.None.Empty);
    }

    /// <summary>The fault: a byte above 7F in any header made the request unreadable.</summary>
    [Test]
    public async Task A_byte_above_7F_is_read_in_every_header()
    {
        var everything = string.Concat(Enumerable.Range(0x80, 0x80).Select(code => (char)code));
        foreach (var line in (string[])
                 [
                     "Cookie: name=Zo\u00eb", "Referer: http://h/caf\u00e9", "X-Own: \u00a9", "Cookie: name=Zo\u00c3\u00ab", $"User-Agent: {everything}", $"X-All: {everything}",
                     "X-Forwarded-For: \u00e9", "Origin: http://\u00e9", "Accept: \u00e9", "Accept-Language: \u00e9", "traceparent: \u00e9", "tracestate: \u00e9=\u00e9",
                     "baggage: \u00e9=\u00e9", "X-Correlation-ID: \u00e9", "Content-Type: \u00e9", "Authorization: Basic \u00e9", "If-Match: \u00e9", "Range: \u00e9",
                     "X-Forwarded-Uri: /caf\u00e9?\u00e9", "X-Mira-Owner: \u00e9", "Expect: \u00e9", "TE: \u00e9", "Upgrade: \u00e9",
                 ])
        {
            var answer = await AskAsync($"X-API-Key: {_viewer}", line);
            Assert.That((answer.Status, answer.Header("X-Mira-Key-Id")), Is.EqualTo((200, MiraHost.IdOf(_viewer))), line);
        }

        foreach (var line in (string[])["Mira-Require-Role: \u00e9", "Mira-Require-Permission: \u00e9"])
            (await AskAsync($"X-API-Key: {_viewer}", line)).ShouldBeProblem(403, "insufficient_permission");
        foreach (var line in (string[])["X-API-Key: \u00e9", $"X-API-Key: {_viewer}\u00e9", "Authorization: Bearer \u00ff", $"Authorization: Bearer \u00a0{_viewer}"])
            (await AskAsync(line)).ShouldBeProblem(401, "invalid_key");
    }

    /// <summary>The fault: a path and a query of more than 8 kB were too long.</summary>
    [Test]
    public async Task A_path_and_a_query_of_32_kB_are_read()
    {
        var long32 = new string('a', 32 * 1024 - 1);
        foreach (var rest in (string[])[$"/{long32}", $"/x?{long32}", $"/{long32}?{long32}", $"?x={long32}"])
        {
            Assert.That((await SendAsync("GET", Path + rest, _viewer)).Status, Is.EqualTo(200));
            (await SendAnyAsync("GET", Path + rest)).ShouldBeProblem(401, "missing_credentials");
        }

        (string, string)[] headers = [("X-Forwarded-Uri", $"/{long32}"), ("Cookie", long32), .. Enumerable.Range(0, 500).Select(number => ($"X-Many-{number}", "v"))];
        Assert.That((await SendAsync("GET", Path, _viewer, null, headers)).Status, Is.EqualTo(200));
    }

    /// <summary>The fault: a body that was announced and did not come was read from the next call.</summary>
    [TestCase("Content-Length: 5")]
    [TestCase("Content-Length: 50000")]
    [TestCase("Content-Length: 5000000000")]
    [TestCase("Transfer-Encoding: chunked")]
    [TestCase("Content-Length: 5\nExpect: 100-continue")]
    public async Task A_body_that_does_not_come_closes_the_connection(string framing)
    {
        foreach (var (credential, status) in new[] { ($"X-API-Key: {_viewer}", 200), ("X-API-Key: bad", 401), ("X-None: 1", 401) })
        {
            using var connection = await RawHttp.ConnectAsync(Mira.Address);
            await connection.WriteAsync(RawHttp.Head([$"POST {Path} HTTP/1.1", "Host: x", credential, .. framing.Split('\n')]));
            var answer = await connection.ReadAsync();
            Assert.That((answer.Status, answer.Header("Connection")), Is.EqualTo((status, "close")));
        }
    }

    [TestCase("Content-Length: 5", "hello")]
    [TestCase("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    [TestCase("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")]
    [TestCase("Content-Length: 0", "")]
    public async Task A_body_that_came_is_skipped(string framing, string body)
    {
        using var connection = await RawHttp.ConnectAsync(Mira.Address);
        byte[] first = [.. RawHttp.Head([$"POST {Path} HTTP/1.1", "Host: x", $"X-API-Key: {_viewer}", framing]), .. System.Text.Encoding.ASCII.GetBytes(body)];
        await connection.WriteAsync(first);
        var answer = await connection.ReadAsync();
        Assert.That(answer.Status, Is.EqualTo(200));
        if (answer.Header("Connection") == "close")
            return;

        await connection.WriteAsync(RawHttp.Head([$"GET {Path}/next HTTP/1.1", "Host: x", $"X-API-Key: {Mira.Admin}"]));
        Assert.That((await connection.ReadAsync()).Header("X-Mira-Key-Id"), Is.EqualTo(MiraHost.IdOf(Mira.Admin)));
    }

    private Task<WireAnswer> AskAsync(params string[] lines) => RawHttp.SendAsync(Mira.Address, [$"GET {Path} HTTP/1.1", "Host: x", .. lines]);
}
