using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Http;

/// <summary>
/// Text that a database may choke on: every store gives the same answer, and none takes it for a failure of its own.
/// </summary>
[TestFixture(false)]
[TestFixture(true)]
internal sealed class UnwelcomeTextTests(bool isPostgres)
{
    private static readonly string[] Texts = ["%00", "a%00b", "%ED%A0%80", "%FF%FE", "%EF%BF%BF", "%27%3B--", "%25", "%5C", "_", "%F0%9F%94%91", "%0A", "%7F", "\\ud800"];

    private MiraHost _host = null!;
    private HttpClient _admin = null!;
    private string _id = null!;

    [OneTimeSetUp]
    public async Task StartAsync()
    {
        _host = MiraHost.Start(settings: isPostgres ? await SharedStore.NewAsync() : []);
        _admin = _host.Http(_host.Admin);
        _id = MiraHost.IdOf(await _host.NewKeyAsync("viewer"));
    }

    [OneTimeTearDown]
    public async Task StopAsync()
    {
        _admin.Dispose();
        await _host.DisposeAsync();
    }

    [Test]
    public async Task In_a_search_it_is_refused_or_found_nowhere()
    {
        foreach (var text in Texts)
        {
            var isRefused = text is "%00" or "a%00b" or "%0A" or "%7F" or "%EF%BF%BF";
            Assert.That(await AskAsync("GET", $"/api/keys?q={text}"), Is.EqualTo(isRefused ? "400 invalid_parameter" : "200"), text);
            Assert.That(await AskAsync("GET", $"/api/keys?owner={text}"), Is.EqualTo(isRefused ? "400 invalid_parameter" : "200"), text);
        }
    }

    [TestCase("/api/keys", "role")]
    [TestCase("/api/keys", "status")]
    [TestCase("/api/keys", "limit")]
    [TestCase("/api/keys", "cursor")]
    [TestCase("/api/audit", "type")]
    [TestCase("/api/audit", "key_id")]
    [TestCase("/api/audit", "actor")]
    [TestCase("/api/audit", "from")]
    [TestCase("/api/audit", "cursor")]
    public async Task As_any_other_parameter_it_is_refused(string path, string parameter)
    {
        foreach (var text in Texts.Append(new string('x', 4_000)))
            Assert.That(await AskAsync("GET", $"{path}?{parameter}={text}"), Is.EqualTo("400 invalid_parameter"), text);
    }

    [Test]
    public async Task A_very_long_one_is_refused()
    {
        foreach (var parameter in (string[])["q", "owner"])
            Assert.That(await AskAsync("GET", $"/api/keys?{parameter}={new string('x', 4_000)}"), Is.EqualTo("400 invalid_parameter"), parameter);
        Assert.That(await AskAsync("DELETE", $"/api/keys/{_id}?reason={new string('x', 4_000)}"), Is.EqualTo("400 validation_failed"));
    }

    [TestCase("%00")]
    [TestCase("a%00b")]
    public async Task As_a_reason_or_an_id_it_is_refused(string text)
    {
        Assert.That(await AskAsync("DELETE", $"/api/keys/{_id}?reason={text}"), Is.EqualTo("400 validation_failed"));
        Assert.That((int)(await _admin.CallAsync("GET", $"/api/keys/{_id}{text}")).Status, Is.InRange(400, 404));
    }

    [TestCase("""{"name":"a\u0000b"}""", "400 validation_failed")]
    [TestCase("""{"owner":"\u0000"}""", "400 validation_failed")]
    [TestCase("""{"metadata":{"a":"\u0000"}}""", "400 validation_failed")]
    [TestCase("""{"metadata":{"\u0000":"a"}}""", "400 validation_failed")]
    [TestCase("""{"permissions":["a\u0000:b"]}""", "400 validation_failed")]
    [TestCase("""{"allowed_ips":["\u0000"]}""", "400 validation_failed")]
    [TestCase("""{"name":"\ud800"}""", "400 malformed_json")]
    public async Task In_a_body_it_is_refused(string body, string verdict) =>
        Assert.That((await _admin.CallAsync("PATCH", $"/api/keys/{_id}", body)).Verdict, Is.EqualTo(verdict));

    private async Task<string> AskAsync(string method, string path) => (await _admin.CallAsync(method, path)).Verdict;
}
