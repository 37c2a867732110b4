using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using Mira.TestServers.Airtable;

namespace Mira.Infrastructure.Tests.Airtable;

/// <summary>The stand-in answers as Airtable's documentation and recorded answers say.</summary>
internal sealed class AirtableServerTests
{
    private FakeTimeProvider _clock = null!;
    private AirtableServer _server = null!;
    private HttpClient _http = null!;
    private AirtableSheet _sheet = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _clock = new FakeTimeProvider(new DateTimeOffset(2026, 1, 31, 12, 0, 0, TimeSpan.Zero));
        _server = await AirtableServer.StartAsync(new AirtableServerOptions { Clock = _clock });
        _sheet = _server.AddSheet("API Keys", "key_id");
        _sheet.AddField("version", "number", new JsonObject { ["precision"] = 0 });
        _sheet.AddField("role", "singleSelect", new JsonObject { ["choices"] = new JsonArray(new JsonObject { ["name"] = "viewer" }) });
        _sheet.AddField("created_at", "dateTime");
        _sheet.AddField("changed", "lastModifiedTime");
        _http = new HttpClient { BaseAddress = new Uri(_server.Url, $"v0/{_server.BaseId}/") };
        _http.DefaultRequestHeaders.Authorization = new("Bearer", _server.Token);
    }

    [TearDown]
    public async Task StopAsync()
    {
        _http.Dispose();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task The_sixth_call_in_a_second_is_refused_and_all_calls_for_thirty_seconds()
    {
        for (var call = 0; call < 5; call++)
            Assert.That((await GetAsync("API%20Keys")).Status, Is.EqualTo(200));

        var (status, body) = await GetAsync("API%20Keys");
        Assert.That((status, (string?)body["errors"]![0]!["error"]), Is.EqualTo((429, "RATE_LIMIT_REACHED")));
        _clock.Advance(TimeSpan.FromSeconds(29.9));
        Assert.That((await GetAsync("API%20Keys")).Status, Is.EqualTo(429));
        _clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.That((await GetAsync("API%20Keys")).Status, Is.EqualTo(200));
        Assert.That(_server.Calls, Has.Count.EqualTo(8));
        Assert.That(_server.BusiestSecond, Is.EqualTo(6));
    }

    [Test]
    public async Task Rows_show_their_filled_cells_and_times_in_Airtables_form()
    {
        var (_, made) = await SendAsync(HttpMethod.Post, "API%20Keys", """{"fields":{"key_id":" k 1 ","created_at":"2026-01-31T13:00:00+01:00","role":"viewer","version":null}}""");
        var (status, found) = await GetAsync($"API%20Keys/{made["id"]}");

        Assert.That(status, Is.EqualTo(200));
        Assert.That((string?)found["id"], Does.Match("^rec[0-9A-Za-z]{14}$"));
        Assert.That(found["fields"]!.ToJsonString(), Is.EqualTo("""{"key_id":" k 1 ","created_at":"2026-01-31T12:00:00.000Z","role":"viewer"}"""));
        Assert.That((string?)found["createdTime"], Is.EqualTo("2026-01-31T12:00:00.000Z"));
    }

    [TestCase("""{"records":[{"fields":{"nonsense":"x"}}]}""", "UNKNOWN_FIELD_NAME")]
    [TestCase("""{"records":[{"fields":{"version":"1"}}]}""", "INVALID_VALUE_FOR_COLUMN")]
    [TestCase("""{"records":[{"fields":{"key_id":1}}]}""", "INVALID_VALUE_FOR_COLUMN")]
    [TestCase("""{"records":[{"fields":{"changed":"2026-01-31T12:00:00Z"}}]}""", "INVALID_VALUE_FOR_COLUMN")]
    [TestCase("""{"records":[{"fields":{"key_id":"k"}},{"fields":{"role":"root"}}]}""", "INVALID_MULTIPLE_CHOICE_OPTIONS")]
    [TestCase("""{"records":[]}""", "INVALID_REQUEST_UNKNOWN")]
    [TestCase("""{"records":[{},{},{},{},{},{},{},{},{},{},{}]}""", "INVALID_REQUEST_UNKNOWN")]
    public async Task What_does_not_fit_is_refused_and_nothing_of_its_batch_is_made(string body, string type)
    {
        var (status, answer) = await SendAsync(HttpMethod.Post, "API%20Keys", body);

        Assert.That((status, (string?)answer["error"]!["type"]), Is.EqualTo((422, type)));
        Assert.That(_sheet.Snapshot(), Is.Empty);
    }

    [Test]
    public async Task Long_text_ends_at_a_hundred_thousand_characters()
    {
        Assert.That((await SendAsync(HttpMethod.Post, "API%20Keys", $$$"""{"fields":{"key_id":"{{{new string('x', 100_000)}}}"}}""")).Status, Is.EqualTo(200));
        Assert.That((await SendAsync(HttpMethod.Post, "API%20Keys", $$$"""{"fields":{"key_id":"{{{new string('x', 100_001)}}}"}}""")).Status, Is.EqualTo(422));
    }

    [Test]
    public async Task A_patch_keeps_what_it_does_not_name_and_a_put_does_not()
    {
        var id = _sheet.Insert(new JsonObject { ["key_id"] = "k", ["version"] = 1 });

        await SendAsync(HttpMethod.Patch, $"API%20Keys/{id}", """{"fields":{"version":2}}""");
        Assert.That(_sheet.Snapshot().Single().Fields.ToJsonString(), Is.EqualTo("""{"key_id":"k","version":2}"""));
        await SendAsync(HttpMethod.Put, $"API%20Keys/{id}", """{"fields":{"version":3}}""");
        Assert.That(_sheet.Snapshot().Single().Fields.ToJsonString(), Is.EqualTo("""{"version":3}"""));
    }

    [Test]
    public async Task An_upsert_says_what_it_made_and_what_it_changed_and_fails_where_several_match()
    {
        var id = _sheet.Insert(new JsonObject { ["key_id"] = "a" });
        const string body = """{"performUpsert":{"fieldsToMergeOn":["key_id"]},"records":[{"fields":{"key_id":"a","version":2}},{"fields":{"key_id":"b"}}]}""";

        var (_, answer) = await SendAsync(HttpMethod.Patch, "API%20Keys", body);
        Assert.That((string?)answer["updatedRecords"]![0], Is.EqualTo(id));
        Assert.That((string?)answer["createdRecords"]![0], Is.EqualTo((string?)answer["records"]![1]!["id"]));

        _sheet.Duplicate(id);
        Assert.That((await SendAsync(HttpMethod.Patch, "API%20Keys", body)).Status, Is.EqualTo(422));
    }

    [Test]
    public async Task An_offset_leads_on_until_it_is_forgotten()
    {
        for (var row = 0; row < 5; row++)
            _sheet.Insert(new JsonObject { ["key_id"] = $"k{row}" });

        var (_, first) = await GetAsync("API%20Keys?pageSize=2&fields%5B%5D=key_id");
        var (_, second) = await GetAsync($"API%20Keys?pageSize=2&offset={Uri.EscapeDataString((string)first["offset"]!)}");
        var (_, last) = await GetAsync($"API%20Keys?pageSize=2&offset={Uri.EscapeDataString((string)second["offset"]!)}");
        Assert.That((first["records"]!.AsArray().Count, second["records"]!.AsArray().Count, last["records"]!.AsArray().Count), Is.EqualTo((2, 2, 1)));
        Assert.That(last.ContainsKey("offset"), Is.False);

        _clock.Advance(TimeSpan.FromMinutes(5));
        var (status, body) = await GetAsync($"API%20Keys?pageSize=2&offset={Uri.EscapeDataString((string)first["offset"]!)}");
        Assert.That((status, (string?)body["error"]!["type"]), Is.EqualTo((422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")));
        Assert.That((await GetAsync("API%20Keys?pageSize=101")).Status, Is.EqualTo(422));
    }

    [Test]
    public async Task The_filter_by_the_time_of_the_last_change_sees_edits_and_no_other_formula_is_known()
    {
        var id = _sheet.Insert(new JsonObject { ["key_id"] = "a" });
        _sheet.Insert(new JsonObject { ["key_id"] = "b" });
        _clock.Advance(TimeSpan.FromSeconds(10));
        _sheet.Edit(id, "version", 2);

        var (_, page) = await GetAsync("API%20Keys?filterByFormula=" + Uri.EscapeDataString("IS_AFTER(LAST_MODIFIED_TIME(), '2026-01-31T12:00:05.000Z')"));
        var (status, refusal) = await GetAsync("API%20Keys?filterByFormula=" + Uri.EscapeDataString("{key_id}='a'"));

        Assert.That((string?)page["records"]!.AsArray().Single()!["id"], Is.EqualTo(id));
        Assert.That((status, (string?)refusal["error"]!["type"]), Is.EqualTo((422, "INVALID_FILTER_BY_FORMULA")));
    }

    [Test]
    public async Task Deleted_and_unknown_rows_tables_and_routes_are_told_apart()
    {
        var id = _sheet.Insert(new JsonObject { ["key_id"] = "a" });
        var (_, deleted) = await SendAsync(HttpMethod.Delete, $"API%20Keys/{id}", null);
        Assert.That(deleted.ToJsonString(), Is.EqualTo($$"""{"id":"{{id}}","deleted":true}"""));

        Assert.That(Error(await GetAsync($"API%20Keys/{id}")), Is.EqualTo((404, "MODEL_ID_NOT_FOUND")));
        Assert.That(Error(await GetAsync("Other")), Is.EqualTo((403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")));
        var (status, body) = await GetAsync("/v0/");
        Assert.That((status, (string?)body["error"]), Is.EqualTo((404, "NOT_FOUND")));
        _http.DefaultRequestHeaders.Authorization = null;
        Assert.That(Error(await GetAsync("API%20Keys")), Is.EqualTo((401, "AUTHENTICATION_REQUIRED")));
    }

    [TestCase("""{"name":"API keys","fields":[{"name":"key_id","type":"singleLineText"}]}""", "DUPLICATE_TABLE_NAME")]
    [TestCase("""{"name":"T","fields":[{"name":"a","type":"singleSelect","options":{"choices":[]}}]}""", "INVALID_REQUEST_UNKNOWN")]
    [TestCase("""{"name":"T","fields":[{"name":"a","type":"singleLineText"},{"name":"b","type":"formula"}]}""", "UNSUPPORTED_FIELD_TYPE_FOR_CREATE")]
    [TestCase("""{"name":"T","fields":[{"name":"a","type":"singleLineText"},{"name":"b","type":"number"}]}""", "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE")]
    [TestCase("""{"name":"T","fields":[{"name":"a","type":"dateTime","options":{"timeZone":"UTC","dateFormat":{"name":"iso"},"timeFormat":{"name":"24hour"}}}]}""", "INVALID_FIELD_TYPE_OPTIONS_FOR_CREATE")]
    [TestCase("""{"name":"T","fields":[{"name":"a","type":"singleLineText"},{"name":"A","type":"singleLineText"}]}""", "DUPLICATE_OR_EMPTY_FIELD_NAME")]
    public async Task Tables_are_made_as_the_metadata_API_allows(string body, string type) =>
        Assert.That(Error(await SendAsync(HttpMethod.Post, $"/v0/meta/bases/{_server.BaseId}/tables", body)), Is.EqualTo((422, type)));

    [Test]
    public async Task A_held_call_is_carried_out_when_it_is_released_also_without_its_caller()
    {
        var held = _server.Hold(call => call.Method == "POST");
        using var gone = new CancellationTokenSource();
        var call = _http.PostAsJsonAsync("API%20Keys", new { fields = new { key_id = "k" } }, gone.Token);
        await held.Arrived;
        await gone.CancelAsync();
        Assert.That(async () => await call, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(_sheet.Snapshot(), Is.Empty);

        await held.ReleaseAsync();

        Assert.That(_sheet.Snapshot(), Has.Count.EqualTo(1));
    }

    private static (int Status, string? Type) Error((int Status, JsonObject Body) answer) => (answer.Status, (string?)answer.Body["error"]!["type"]);

    private Task<(int Status, JsonObject Body)> GetAsync(string path) => SendAsync(HttpMethod.Get, path, null);

    private async Task<(int Status, JsonObject Body)> SendAsync(HttpMethod method, string path, string? body)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var answer = await _http.SendAsync(request);
        Assert.That(answer.Headers.Date, Is.EqualTo(_clock.GetUtcNow()).Within(TimeSpan.FromSeconds(1)));
        return ((int)answer.StatusCode, (await answer.Content.ReadFromJsonAsync<JsonObject>())!);
    }
}
