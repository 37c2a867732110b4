using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Mira.TestServers;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;
using NUnit.Framework.Constraints;

namespace Mira.Web.Tests.Edge;

/// <summary>
/// Real proxies as the guide sets them up: whatever a caller sends, the application gets what its key deserves.
/// </summary>
[TestFixture("nginx")]
[TestFixture("caddy")]
[TestFixture("haproxy")]
internal sealed partial class ProxyTests(string kind) : SharedHostTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>After this, a proxy that waits for more is told that there is none.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(500);
    private static readonly string[] Identity = ["X-Mira-Key-Id", "X-Mira-Key-Name", "X-Mira-Owner", "X-Mira-Role"];

    private readonly ApplicationServer _application = new();
    private TcpProxy _way = null!;
    private ProxyServer _proxy = null!;
    private string _key = "";
    private int _cases;

    protected override (string Name, string Value)[] Settings => [("MIRA_TRUSTED_PROXIES", "127.0.0.1")];

    [OneTimeSetUp]
    public async Task StartProxy()
    {
        _way = TcpProxy.Start(Mira.Address.Port);
        _proxy = await GuidedProxy.StartAsync(kind, _way.Port, _application.Port);
        _key = await Mira.NewKeyAsync("viewer", key => key.Name = "Łódź 100 %");
    }

    [OneTimeTearDown]
    public async Task StopProxy()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        _way?.Dispose();
        await _application.DisposeAsync();
    }

    [Test]
    public async Task A_fair_request_is_answered_as_its_key_deserves()
    {
        foreach (var request in OddRequests.Fair)
        {
            var let = await SendAsync(WithCredential(request, $"X-API-Key: {_key}"));
            Assert.That(let.Status, Is.EqualTo(200), $"{request}\n{let.Text}\n{_proxy.Log}");
            ShouldBeOfTheKey(let, request);
            foreach (var credential in (string[])["X-None: 1", "X-API-Key: bad"])
                ShouldReachNothing(await SendAsync(WithCredential(request, credential)), request);
        }
    }

    [Test]
    public Task A_doubtful_request_is_answered_as_its_key_deserves_or_refused() => Task.WhenAll(OddRequests.Doubtful.Select(async request =>
    {
        var let = await SendAsync(WithCredential(request, $"X-API-Key: {_key}"), endsSending: true);
        if (let.Call is not null)
            ShouldBeOfTheKey(let, request);
        else
            // Caddy says 502 when it cannot go on with a body.
            Assert.That(let.Status, Is.EqualTo(502).Or.Matches(IsRefusal(request)), $"{request}\n{let.Text}");

        var refused = await SendAsync(WithCredential(request, "X-None: 1"), endsSending: true);
        Assert.That(refused.Call, Is.Null, request);
        Assert.That(refused.Status, IsRefusal(request), $"{request}\n{refused.Text}");
    }));

    [Test]
    public async Task A_key_in_the_wrong_place_is_none()
    {
        foreach (var request in OddRequests.Refused)
            ShouldReachNothing(await SendAsync(request.Replace("@", _key, StringComparison.Ordinal)), request);
    }

    [TestCase("authorization: bearer @")]
    [TestCase("Authorization: BEARER   @")]
    [TestCase("X-API-KEY:@")]
    [TestCase("Authorization: Basic dXNlcjpwYXNz|x-api-key: @")]
    public async Task Every_way_to_present_a_key_is_one(string credential)
    {
        var answer = await SendAsync(WithCredential("GET /x HTTP/1.1|Host: x", credential.Replace("@", _key, StringComparison.Ordinal)));
        Assert.That(answer.Status, Is.EqualTo(200), answer.Text);
        ShouldBeOfTheKey(answer, credential);
    }

    [Test]
    public async Task The_caller_sees_why_and_when_to_come_back()
    {
        var missing = await SendAsync("GET /x HTTP/1.1|Host: x");
        Assert.That((missing.Status, missing.Header("WWW-Authenticate")), Is.EqualTo((401, "Bearer realm=\"mira\"")));
        var bad = await SendAsync("POST /x HTTP/1.1|Host: x|X-API-Key: bad|Content-Length: 5||hello");
        Assert.That((bad.Status, bad.Header("WWW-Authenticate")), Is.EqualTo((401, "Bearer realm=\"mira\", error=\"invalid_token\"")));

        var elsewhere = await Mira.NewKeyAsync("admin", key => key.AllowedIps = ["10.0.0.0/8"]);
        Assert.That((await SendAsync($"GET /x HTTP/1.1|Host: x|X-API-Key: {elsewhere}|X-Forwarded-For: 10.0.0.1")).Status, Is.EqualTo(403));
        var here = await Mira.NewKeyAsync("admin", key => key.AllowedIps = ["127.0.0.1"]);
        Assert.That((await SendAsync($"GET /x HTTP/1.1|Host: x|X-API-Key: {here}|X-Forwarded-For: 10.0.0.1")).Status, Is.EqualTo(200));

        var limited = await Mira.NewKeyAsync("viewer", key => key.RateLimitPerMinute = 1);
        Assert.That((await SendAsync($"GET /x HTTP/1.1|Host: x|X-API-Key: {limited}")).Status, Is.EqualTo(200));
        foreach (var method in (string[])["GET", "HEAD", "OPTIONS"])
        {
            var refused = await SendAsync($"{method} /x HTTP/1.1|Host: x|X-API-Key: {limited}");
            Assert.That(refused.Status, Is.EqualTo(429), method);
            Assert.That(int.Parse(refused.Header("Retry-After")!, null), Is.InRange(1, 60));
            Assert.That(refused.Call, Is.Null);
        }
    }

    [Test]
    public async Task Of_two_requests_in_one_go_each_stands_for_itself()
    {
        var (first, second) = (NextCase(), NextCase());
        var text = $"GET /x HTTP/1.1|Host: x|X-API-Key: {_key}|X-Case: {first}||POST /x HTTP/1.1|Host: x|X-Case: {second}|Content-Length: 5|Connection: close||hello";
        await ExchangeAsync(text.Replace("|", "\r\n", StringComparison.Ordinal), endsSending: false);
        Assert.That(_application.Calls.Select(call => call["X-Case"].SingleOrDefault()), Does.Contain(first).And.Not.Contain(second));
    }

    [Test]
    public async Task Without_Mira_nothing_gets_through()
    {
        using var nowhere = TcpProxy.Start(Mira.Address.Port);
        nowhere.Refuses = true;
        await using var proxy = await GuidedProxy.StartAsync(kind, nowhere.Port, _application.Port);
        foreach (var request in (string[])["GET /x HTTP/1.1|Host: x", "POST /x HTTP/1.1|Host: x|Content-Length: 5||hello", "OPTIONS /x HTTP/1.1|Host: x"])
        {
            var answer = await SendAsync(WithCredential(request, $"X-API-Key: {_key}"), proxy: proxy);
            Assert.That((answer.Status, answer.Call), Is.EqualTo((kind == "caddy" ? 502 : 503, (ReachedCall?)null)));
        }
    }

    private void ShouldBeOfTheKey(Sent sent, string request)
    {
        Assert.That(sent.Call, Is.Not.Null, request);
        var shown = sent.Call!.Headers
            .Where(header => header.Name.Replace('_', '-').StartsWith("X-Mira-", StringComparison.OrdinalIgnoreCase))
            .Select(header => (header.Name.ToLowerInvariant(), header.Value)).Order();
        Assert.That(
            shown,
            Is.EqualTo(Identity.Select(name => name.ToLowerInvariant()).Zip([MiraHost.IdOf(_key), "%C5%81%C3%B3d%C5%BA%20100%20%25", "-", "viewer"])),
            request);
    }

    private static void ShouldReachNothing(Sent sent, string request)
    {
        Assert.That(sent.Call, Is.Null, request);
        Assert.That(sent.Status, Is.EqualTo(401).Or.EqualTo(400), $"{request}\n{sent.Text}");
    }

    // By the proxy itself, with or without a word. Caddy answers a question about the server as a whole by itself.
    private static Constraint IsRefusal(string request) => request.StartsWith("OPTIONS *", StringComparison.Ordinal)
        ? Is.EqualTo(200).Or.InRange(400, 499)
        : Is.Zero.Or.InRange(300, 499).Or.EqualTo(501).Or.EqualTo(505);

    // Behind the first header, which is the host where there is one.
    private static string WithCredential(string request, string credential)
    {
        var lines = request.Split('|').ToList();
        lines.Insert(Math.Min(lines.Count, lines.Count > 1 && lines[1].Length > 0 ? 2 : 1), credential);
        return string.Join('|', lines);
    }

    /// <summary>Sends one request, marked so that the application's side of it can be told from all others.</summary>
    private async Task<Sent> SendAsync(string request, bool endsSending = false, ProxyServer? proxy = null)
    {
        var mark = NextCase();
        var (head, body) = request.Split("||", 2) is [var first, var second] ? (first, second) : (request, "");
        var close = ConnectionLine().IsMatch(head) ? "" : "|Connection: close";
        var wire = $"{head}|X-Case: {mark}{close}||{body}".Replace("|", "\r\n", StringComparison.Ordinal);
        var text = await ExchangeAsync(wire, endsSending, proxy);
        return new Sent(text, _application.Calls.SingleOrDefault(call => call["X-Case"].Contains(mark)));
    }

    private string NextCase() => $"{kind}-{Interlocked.Increment(ref _cases)}";

    /// <summary>All that comes back until the other side closes; nothing when it does not within patience.</summary>
    /// <param name="endsSending">For what may keep a proxy waiting for more.</param>
    private async Task<string> ExchangeAsync(string request, bool endsSending, ProxyServer? proxy = null)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", (proxy ?? _proxy).Port, patience.Token);
        await using var stream = client.GetStream();
        var text = new StringBuilder();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request), patience.Token);
            var buffer = new byte[16 * 1024];
            using var moment = new CancellationTokenSource(endsSending ? Moment : Patience);
            for (var isOver = false; !isOver;)
            {
                try
                {
                    var count = await stream.ReadAsync(buffer, moment.IsCancellationRequested ? patience.Token : moment.Token);
                    isOver = count == 0;
                    text.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }
                catch (OperationCanceledException) when (!patience.IsCancellationRequested)
                {
                    client.Client.Shutdown(SocketShutdown.Send);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
        {
            // Refused without a word, or before all was sent.
        }

        return text.ToString();
    }

    /// <param name="Call">Null when the application was not reached.</param>
    private sealed record Sent(string Text, ReachedCall? Call)
    {
        private readonly string[] _head = Final(Text).Split("\r\n\r\n")[0].Split("\r\n");

        public int Status => _head[0].Split(' ') is [_, var status, ..] && int.TryParse(status, out var number) ? number : 0;

        public string? Header(string name) =>
            _head.Where(line => line.StartsWith($"{name}:", StringComparison.OrdinalIgnoreCase)).Select(line => line[(name.Length + 1)..].Trim()).SingleOrDefault();

        // Behind any number of those that only say that it may go on.
        private static string Final(string text)
        {
            while (text.StartsWith("HTTP/1.1 100", StringComparison.Ordinal))
                text = text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
            return text;
        }
    }

    [GeneratedRegex(@"\|Connection:", RegexOptions.IgnoreCase)]
    private static partial Regex ConnectionLine();
}
