using System.Text.Json;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.KnownFaults;

/// <summary>
/// Text that nobody should send, in every field that takes text: it is taken or refused, and never an error of the
/// service's own.
/// </summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class TextFaultTests : SharedHost
{
    /// <summary>Any odd number would do: it meets all parts of all planes.</summary>
    private const int Stride = 40_009;

    /// <summary>As many scalar values as one metadata value may hold.</summary>
    private const int Portion = 500;

    private static readonly int[] Noncharacters = [0xFFFE, 0xFFFF, 0xFDD0, 0xFDEF, 0x1FFFE, 0x1FFFF, 0x10FFFE, 0x10FFFF];

    private static IEnumerable<string> Odd => Noncharacters
        .Concat([0, 0x7F, 0x85, 0xAD, 0x200B, 0x200D, 0x202E, 0x2028, 0xFEFF, 0xFFF9, 0xFFFD, 0xE000, 0x378, 0x3164, 0x1D15E, 0xE0001])
        .Concat(Enumerable.Range(0, 0x10FFFF / Stride).Select(number => number * Stride).Where(scalar => scalar is < 0xD800 or > 0xDFFF))
        .Select(char.ConvertFromUtf32);

    /// <summary>The fault: a noncharacter in one of them gave a 500.</summary>
    [Test]
    public async Task A_noncharacter_in_a_name_an_owner_a_reason_or_a_search_is_refused()
    {
        var made = await CreateAsync();
        foreach (var text in Noncharacters.Select(char.ConvertFromUtf32))
        {
            var raw = Uri.EscapeDataString(text);
            Assert.That((await CreateAsync(name: $"a{text}")).Verdict, Is.EqualTo("400 validation_failed"));
            Assert.That(await PatchAsync(made.KeyId, new { name = $"a{text}" }), Is.EqualTo("400 validation_failed"));
            Assert.That(await PatchAsync(made.KeyId, new { owner = $"a{text}" }), Is.EqualTo("400 validation_failed"));
            Assert.That(await PatchAsync(made.KeyId, new { metadata = new Dictionary<string, string> { ["a"] = text } }), Is.EqualTo("400 validation_failed"));
            Assert.That(await PatchAsync(made.KeyId, new { metadata = new Dictionary<string, string> { [text] = "a" } }), Is.EqualTo("400 validation_failed"));
            Assert.That(await AskAsync("DELETE", $"/api/keys/{made.KeyId}?reason=a{raw}"), Is.EqualTo("400 validation_failed"));
            Assert.That(await AskAsync("GET", $"/api/keys?q={raw}"), Is.EqualTo("400 invalid_parameter"));
            Assert.That(await AskAsync("GET", $"/api/keys?owner=a{raw}"), Is.EqualTo("400 invalid_parameter"));
        }
    }

    /// <summary>The fault: a key could have a name that nobody sees.</summary>
    [TestCase("\u200B")]
    [TestCase("\u3164")]
    [TestCase("\u2800")]
    [TestCase("\uFEFF\u00AD")]
    public async Task A_name_needs_a_character_that_is_seen(string name)
    {
        Assert.That((await CreateAsync(name: name)).Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That((await CreateAsync(name: $"{name}visible")).Verdict, Is.EqualTo("201"));
    }

    [Test]
    public async Task No_text_in_a_body_is_an_error_of_the_service()
    {
        var made = await CreateAsync();
        foreach (var text in Odd)
        {
            foreach (var body in Bodies(text))
                Assert.That(await AskAsync("PATCH", $"/api/keys/{made.KeyId}", body), Does.Match("^(200|400)"), $"U+{char.ConvertToUtf32(text, 0):X4} {body}");
        }
    }

    [Test]
    public async Task No_text_in_a_query_a_path_or_a_header_is_an_error_of_the_service()
    {
        var made = await CreateAsync();
        foreach (var text in Odd.Where((_, number) => number % 3 == 0 || number < Noncharacters.Length))
        {
            var raw = Uri.EscapeDataString(text);
            foreach (var path in Paths(made.KeyId, raw))
                Assert.That(await AskAsync("GET", path), Does.Match("^(200|4..)"), path);
        }
    }

    [TestCase("\u00ED\u00A0\u0080")]
    [TestCase("\u00FF\u00FE")]
    [TestCase("\u00EF\u00BF\u00BE")]
    [TestCase("\u00C3\u0028")]
    public async Task No_bytes_in_a_header_or_a_raw_query_are_an_error_of_the_service(string bytes)
    {
        foreach (var line in (string[])[$"If-Match: {bytes}", $"Idempotency-Key: {bytes}", $"X-Correlation-ID: {bytes}", $"User-Agent: {bytes}", $"Accept: {bytes}"])
            Assert.That((await SendAsync("/api/keys?limit=1", line)).Status, Is.InRange(200, 499), line);
        foreach (var query in (string[])[$"q={bytes}", $"owner={bytes}", $"cursor={bytes}", $"{bytes}=1", "q=%EF%BF%BE", "q=%", "q=%u0000", "q=%C0%80"])
            Assert.That((await SendAsync($"/api/keys?{query}", "Accept: */*")).Status, Is.InRange(200, 499), query);
    }

    [Test]
    public async Task Every_scalar_that_metadata_takes_comes_back_as_it_was()
    {
        var made = await CreateAsync();
        var taken = Enumerable.Range(0, 0x110000)
            .Where(scalar => scalar is < 0xD800 or > 0xDFFF && scalar % 13 == 0 && (scalar & 0xFFFE) != 0xFFFE && scalar is < 0xFDD0 or > 0xFDEF)
            .Select(char.ConvertFromUtf32).Where(text => !char.IsControl(text[0])).Chunk(Portion * 8);
        foreach (var some in taken)
        {
            var pairs = some.Chunk(Portion).Select((portion, number) => (Key: $"k{number}", Value: string.Concat(portion))).ToDictionary(pair => pair.Key, pair => pair.Value);
            var answer = await AdminHttp.CallAsync("PATCH", $"/api/keys/{made.KeyId}", JsonSerializer.Serialize(new { metadata = pairs }));
            Assert.That(answer.Verdict, Is.EqualTo("200"));
            foreach (var (key, value) in pairs)
                Assert.That(answer.Json.GetProperty("metadata").GetProperty(key).GetString(), Is.EqualTo(value));
        }
    }

    private static IEnumerable<string> Bodies(string text)
    {
        yield return JsonSerializer.Serialize(new { name = $"a{text}b" });
        yield return JsonSerializer.Serialize(new { name = text });
        yield return JsonSerializer.Serialize(new { owner = text });
        yield return JsonSerializer.Serialize(new { metadata = new Dictionary<string, string> { [$"k{text}"] = text } });
        yield return JsonSerializer.Serialize(new { permissions = new[] { text, $"a:{text}" } });
        yield return JsonSerializer.Serialize(new { allowed_ips = new[] { text, $"::1%{text}" } });
        yield return JsonSerializer.Serialize(new { role = text });
        yield return JsonSerializer.Serialize(new Dictionary<string, string> { [text] = text });
    }

    private static IEnumerable<string> Paths(string id, string raw) =>
    [
        $"/api/keys?q={raw}", $"/api/keys?owner={raw}", $"/api/keys?role={raw}", $"/api/keys?status={raw}", $"/api/keys?limit={raw}", $"/api/keys?cursor={raw}",
        $"/api/keys?{raw}=1", $"/api/keys/{id}{raw}", $"/api/keys/{raw}", $"/api/{raw}", $"/api/audit?type={raw}", $"/api/audit?key_id={raw}", $"/api/audit?actor={raw}",
        $"/api/audit?from={raw}", $"/api/audit?cursor={raw}", $"/api/audit/export?to={raw}", $"/api/auth/forward?role={raw}", $"/api/auth/forward/{raw}?permission={raw}",
    ];

    private Task<Reply> CreateAsync(string name) => AdminHttp.CallAsync("POST", "/api/keys", JsonSerializer.Serialize(new { name, role = "viewer" }));

    private Task<string> PatchAsync(string id, object body) => AskAsync("PATCH", $"/api/keys/{id}", JsonSerializer.Serialize(body));

    private async Task<string> AskAsync(string method, string path, string? body = null) => (await AdminHttp.CallAsync(method, path, body)).Verdict;

    private Task<WireAnswer> SendAsync(string path, string line) => RawHttp.SendAsync(
        Host.Address, [$"GET {path} HTTP/1.1", $"Host: {Host.Address.Authority}", $"Authorization: Bearer {Host.Admin}", line, "Connection: close"]);
}
