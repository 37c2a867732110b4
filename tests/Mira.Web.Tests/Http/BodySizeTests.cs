using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Mira.Web.Tests.Http;

/// <summary>Bodies that are too large, too slow or broken on their way.</summary>
internal sealed class BodySizeTests : SharedHostTests
{
    private const int Limit = 64 * 1024;

    protected override void Configure(IServiceCollection services) => services.Configure<KestrelServerOptions>(kestrel =>
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 1_000_000, gracePeriod: TimeSpan.FromSeconds(1.1)));

    [TestCase(Limit, 201)]
    [TestCase(Limit + 1, 413)]
    [TestCase(10 * Limit, 413)]
    public async Task A_body_is_read_up_to_64_KiB(int size, int status)
    {
        var answer = await SendRawAsync(Head($"Content-Length: {size}"), Padded(size));
        Judge(answer, status);
    }

    [TestCase(Limit, 1_000, 201)]
    [TestCase(Limit, Limit, 201)]
    [TestCase(Limit, 16, 201)]
    [TestCase(Limit + 1, 1_000, 413)]
    [TestCase(10 * Limit, 10_000, 413)]
    public async Task A_chunked_body_is_read_up_to_64_KiB(int size, int chunk, int status)
    {
        var body = new StringBuilder();
        foreach (var part in Padded(size).Chunk(chunk))
            body.Append(CultureInfo.InvariantCulture, $"{part.Length:x}\r\n").Append(part).Append("\r\n");
        var answer = await SendRawAsync(Head("Transfer-Encoding: chunked"), body.Append("0\r\n\r\n").ToString());
        Judge(answer, status);
    }

    [TestCase("ZZ\r\n")]
    [TestCase("5\r\n{\"nam\r\n")]
    [TestCase("2\r\n{}x\r\n0\r\n\r\n")]
    [TestCase("-1\r\n")]
    [TestCase("ffffffffffffffff\r\n")]
    public async Task A_bad_chunk_is_a_malformed_request(string body)
    {
        using var connection = await RawHttp.ConnectAsync(Mira.Address);
        await connection.WriteAsync(RawHttp.Head(Head("Transfer-Encoding: chunked").Split('\n')));
        await connection.WriteAsync(Encoding.ASCII.GetBytes(body));
        var answer = await connection.ReadAsync();
        Assert.That(answer.Status is 400 or 408, Is.True, answer.Body);
        answer.ShouldBeProblem(answer.Status, answer.Status == 400 ? "malformed_request" : "request_timeout");
    }

    [Test]
    public async Task A_body_that_comes_too_slowly_times_out() =>
        (await SendRawAsync(Head("Content-Length: 100"), "{")).ShouldBeProblem(408, "request_timeout");

    [Test]
    public async Task The_body_of_a_caller_without_a_key_is_not_read()
    {
        var answer = await SendRawAsync(
            """
            POST /api/keys HTTP/1.1
            Host: mira
            Content-Type: text/plain
            Content-Encoding: gzip
            Content-Length: 1000000000
            """,
            "{{{{");
        answer.ShouldBeProblem(401, "missing_credentials");
    }

    [Test]
    public async Task Who_waits_to_be_told_to_go_on_is_told_the_error_instead()
    {
        var anonymous = await SendRawAsync(
            $"""
             POST /api/keys HTTP/1.1
             Host: mira
             Content-Type: application/json
             Content-Length: {ValidKey.Length}
             Expect: 100-continue
             """);
        anonymous.ShouldBeProblem(401, "missing_credentials");

        (await SendRawAsync(Head("Content-Length: 70000\nExpect: 100-continue"))).ShouldBeProblem(413, "payload_too_large");
    }

    private static string Padded(int size) => ValidKey.PadRight(size);

    private static void Judge(WireAnswer answer, int status)
    {
        Assert.That(answer.Status, Is.EqualTo(status), answer.Body);
        if (status == 413)
            answer.ShouldBeProblem(413, "payload_too_large");
    }

    private string Head(string framing) =>
        $"POST /api/keys HTTP/1.1\nHost: mira\nAuthorization: Bearer {Mira.Admin}\nContent-Type: application/json\n{framing}";
}
