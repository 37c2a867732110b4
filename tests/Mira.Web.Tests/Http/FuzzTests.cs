using System.Text;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>
/// Bytes that nobody meant to send: whatever comes, it is the sender's mistake and not the service's.
/// </summary>
internal sealed class FuzzTests : SharedHostTests
{
    private const int Seed = 20_300_101;

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(150);
    private static readonly string[] Fragments =
    [
        "\r\n", "\r\n\r\n", "\0", " ", ":", "/", "//", "/../", "%00", "%2e%2e%2f", "%", "?", "#", "&", "=", "\"", "\\", "\\u0000", "{", "}", "[", "]", ",",
        "null", "-1", "1e999", "99999999999999999999", "Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Content-Length: -1\r\n",
        "Host: other\r\n", "Expect: 100-continue\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n", "If-Match: \"1\r\n", "\u00ff", "\u00c3\u0028", "HTTP/9.9", "*",
    ];

    private static readonly int Repetitions = Rounds.Of(1_500);

    [Test]
    public async Task No_request_however_broken_is_an_error_of_the_service()
    {
        var target = MiraHost.IdOf(await Mira.NewKeyAsync("viewer"));
        var valid = ValidRequests(target).ToList();
        var random = new Random(Seed);
        var seen = new Dictionary<int, int>();
        for (var round = 0; round < Repetitions; round++)
        {
            var request = Mutate(valid[random.Next(valid.Count)], random);
            var status = await StatusOfAsync(request);
            seen[status] = seen.GetValueOrDefault(status) + 1;
            Assert.That(status, Is.Not.EqualTo(500), $"Round {round} of seed {Seed}:\n{request}");
        }

        TestContext.Out.WriteLine(string.Join(", ", seen.OrderBy(pair => pair.Key).Select(pair => $"{pair.Key}: {pair.Value}")));
        Assert.That(seen.Keys, Is.SupersetOf(new[] { 200, 400, 401, 404 }), "mutations that reach every layer");
        Assert.That(Mira.Log, Does.Not.Contain("failed unexpectedly").And.Not.Contain("nhandled"));
        Assert.That((await SendAsync("GET", "/api/auth/validate")).Status, Is.EqualTo(200));
        Assert.That((await SendAnyAsync("GET", "/health")).Json.GetProperty("status").GetString(), Is.EqualTo("healthy"));
    }

    private static string Mutate(string request, Random random)
    {
        var text = new StringBuilder(request);
        for (var mutations = random.Next(1, 4); mutations > 0; mutations--)
        {
            var at = random.Next(text.Length);
            var length = Math.Min(random.Next(1, 12), text.Length - at);
            switch (random.Next(5))
            {
                case 0:
                    text[at] = (char)random.Next(256);
                    break;
                case 1:
                    text.Remove(at, length);
                    break;
                case 2:
                    text.Insert(at, text.ToString(at, length));
                    break;
                case 3:
                    text.Insert(at, new string('A', random.Next(1, 300)));
                    break;
                default:
                    text.Insert(at, Fragments[random.Next(Fragments.Length)]);
                    break;
            }

            if (text.Length == 0)
                return request;
        }

        return text.ToString();
    }

    private async Task<int> StatusOfAsync(string request)
    {
        using var connection = await RawHttp.ConnectAsync(Mira.Address);
        await connection.WriteAsync(Encoding.Latin1.GetBytes(request));
        try
        {
            return (await connection.ReadAsync(Moment)).Status;
        }
        catch (OperationCanceledException)
        {
            // It waits for more, which never comes.
            connection.EndSending();
            return (await connection.ReadAsync()).Status;
        }
    }

    private IEnumerable<string> ValidRequests(string target)
    {
        yield return Request("GET", "/health");
        yield return Request("GET", "/api/auth/validate");
        yield return Request("GET", "/api/keys?role=viewer&status=active&owner=a&q=a&limit=2&cursor=azox");
        yield return Request("GET", $"/api/keys/{target}");
        yield return Request("GET", "/api/audit?type=key.created&from=2026-01-31T12:00:00Z&to=2030-01-31T12:00:00%2B02:00&limit=2");
        yield return Request("GET", "/api/keys/stats/cache");
        yield return Request("POST", "/api/auth/forward/a/b?c=d", "", "Mira-Require-Role: viewer", "Mira-Require-Permission: documents:read");
        yield return Request("GET", "/api/auth/forward?role=viewer&permission=keys:read");
        yield return Request("POST", "/api/keys/verify", $$"""{"api_key":"{{Mira.Admin}}","permissions":["keys:read"],"ip":"10.0.0.1","cost":1}""");
        yield return Request(
            "POST", "/api/keys",
            """{"name":"a","role":"viewer","expiry_days":1,"owner":"o","permissions":["a:b"],"metadata":{"k":"v"},"rate_limit_per_minute":5,"allowed_ips":["10.0.0.0/8"]}""",
            "Idempotency-Key: abc");
        yield return Request("PATCH", $"/api/keys/{target}", """{"name":"b","owner":null,"metadata":{"k":"v"},"disabled":false}""", "If-Match: *");
        yield return Request("POST", $"/api/keys/{target}/rotate", """{"grace_minutes":0,"expiry_days":9}""", "If-Match: \"1\", W/\"2\"");
        yield return Request("DELETE", "/api/keys/mira_key_000000000000?reason=gone");
    }

    private string Request(string method, string target, string body = "", params string[] headers)
    {
        string[] lines =
        [
            $"{method} {target} HTTP/1.1", "Host: mira", $"Authorization: Bearer {Mira.Admin}", "X-Correlation-ID: fuzz", .. headers,
            "Content-Type: application/json", $"Content-Length: {body.Length}",
        ];
        return Encoding.Latin1.GetString(RawHttp.Head(lines)) + body;
    }
}
