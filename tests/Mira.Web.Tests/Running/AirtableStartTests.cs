using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Mira.TestServers.Airtable;
using Mira.Web.Tests.Hosts;
using Mira.Web.Tests.Http;

namespace Mira.Web.Tests.Running;

/// <summary>The service with its keys in a table, over HTTP and within Airtable's own limits.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase), Parallelizable(ParallelScope.All)]
internal sealed class AirtableStartTests : IAsyncDisposable
{
    private const string Table = "API Keys";

    private readonly string _pepper = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    private AirtableServer _airtable = null!;
    private TestFolder _folder = null!;

    private AirtableSheet Sheet => _airtable.Sheet(Table);

    [SetUp]
    public async Task StartAsync()
    {
        _airtable = await AirtableServer.StartAsync();
        _folder = new TestFolder();
    }

    [TearDown]
    public void CheckPace() => Assert.That(_airtable.BusiestSecond, Is.LessThanOrEqualTo(5));

    public async ValueTask DisposeAsync()
    {
        await _airtable.DisposeAsync();
        _folder.Dispose();
    }

    [Test]
    public async Task From_an_empty_base_to_a_key_that_works_and_is_governed_in_the_table()
    {
        await MakeTableAsync();
        await using var mira = MiraHost.Start(folder: _folder, settings: Settings());
        Assert.That(Sheet.Snapshot(), Has.Count.EqualTo(1), "the first admin");

        var key = await mira.NewKeyAsync("viewer");
        await ExpectAsync(mira, key, 200, null);
        var row = Sheet.Find("key_id", MiraHost.IdOf(key))!;
        Assert.That((string?)row.Fields["status"], Is.EqualTo("active"));
        Assert.That(row.Fields.ToJsonString(), Does.Not.Contain(key[22..65]));

        Sheet.Edit(row.Id, "status", "revoked");
        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, key, "/api/auth/validate")).Status == 401);
        await ExpectAsync(mira, key, 401, "key_revoked");
        Assert.That((await HealthAsync(mira)).Status, Is.EqualTo("healthy"));
    }

    [Test]
    public async Task A_hand_edit_stops_the_key_and_degrades_health_until_a_change_mends_it()
    {
        await MakeTableAsync();
        await using var mira = MiraHost.Start(folder: _folder, settings: Settings());
        var key = await mira.NewKeyAsync("viewer");
        var id = MiraHost.IdOf(key);
        Sheet.Edit(Sheet.Find("key_id", id)!.Id, "role", "admin");

        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, key, "/api/auth/validate")).Status == 401);
        await ExpectAsync(mira, key, 401, "key_disabled");
        await MiraProcess.WaitForAsync(async () => (await HealthAsync(mira)).Status == "degraded");
        Assert.That((await CallAsync(mira, mira.Admin, $"/api/keys/{id}")).Json.GetProperty("status").GetString(), Is.EqualTo("disabled"));
        var violation = (await CallAsync(mira, mira.Admin, $"/api/audit?type=integrity.violation&key_id={id}")).Json.GetProperty("events")[0];
        Assert.That(violation.GetProperty("changes").GetProperty("role").GetProperty("to").GetString(), Is.EqualTo("admin"));

        using var patched = await mira.Http(mira.Admin).PatchAsync($"/api/keys/{id}", MiraHost.Json("{}"));
        Assert.That(patched.StatusCode, Is.EqualTo(HttpStatusCode.OK));
        await ExpectAsync(mira, key, 200, null);
        await MiraProcess.WaitForAsync(async () => (await HealthAsync(mira)).Status == "healthy");
    }

    [Test]
    public async Task An_empty_data_folder_beside_a_filled_table_is_a_normal_start()
    {
        await MakeTableAsync();
        string admin, key;
        await using (var first = MiraHost.Start(folder: _folder, settings: Settings()))
        {
            admin = first.Admin;
            key = await first.NewKeyAsync("viewer");
        }

        using var empty = new TestFolder();
        await using var mira = MiraProcess.Start(empty, Settings());
        await mira.WaitUntilReadyAsync();

        using var client = mira.Http(admin);
        using var keys = await client.GetAsync("/api/keys");
        Assert.That(JsonDocument.Parse(await keys.Content.ReadAsStringAsync()).RootElement.GetProperty("keys").GetArrayLength(), Is.EqualTo(2), "no second admin");
        Assert.That(File.Exists(empty.AdminFile), Is.False);
        using var holder = mira.Http(key);
        Assert.That((await holder.GetAsync("/api/auth/validate")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
    }

    [Test]
    public async Task Without_Airtable_keys_are_verified_from_the_mirror_until_that_is_too_old()
    {
        await MakeTableAsync();
        await using var mira = MiraHost.Start(folder: _folder, settings: [.. Settings(), ("Mira:Airtable:MaxStaleness", "00:00:04")]);
        var key = await mira.NewKeyAsync("viewer");
        await ExpectAsync(mira, key, 200, null);

        _airtable.Faults.Always(AirtableFault.Unavailable);
        using var patched = await mira.Http(mira.Admin).PatchAsync($"/api/keys/{MiraHost.IdOf(key)}", MiraHost.Json("""{"name":"renamed"}"""));
        Assert.That((int)patched.StatusCode, Is.EqualTo(503));
        Assert.That(await patched.Content.ReadAsStringAsync(), Does.Contain("store_unavailable"));
        await ExpectAsync(mira, key, 200, null);

        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, key, "/api/auth/validate")).Status == 503);
        await ExpectAsync(mira, key, 503, "store_unavailable");
        Assert.That((await CallAsync(mira, null, "/health/ready")).Status, Is.EqualTo(503));

        _airtable.Faults.Clear();
        await MiraProcess.WaitForAsync(async () => (await CallAsync(mira, key, "/api/auth/validate")).Status == 200);
        Assert.That((await CallAsync(mira, null, "/health/ready")).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task A_start_without_Airtable_goes_on_from_the_mirror_and_an_empty_one_is_not_ready_until_it_has_read_the_table()
    {
        await MakeTableAsync();
        string key;
        await using (var first = MiraHost.Start(folder: _folder, settings: Settings()))
            key = await first.NewKeyAsync("viewer");
        _airtable.Faults.Always(AirtableFault.Reset);

        await using (var mirrored = MiraProcess.Start(_folder, Settings()))
        {
            await mirrored.WaitUntilReadyAsync();
            using var client = mirrored.Http(key);
            Assert.That((await client.GetAsync("/api/auth/validate")).StatusCode, Is.EqualTo(HttpStatusCode.OK));
        }

        using var empty = new TestFolder();
        await using var mira = MiraProcess.Start(empty, Settings());
        using var holder = mira.Http(key);
        await MiraProcess.WaitForAsync(async () => await StatusAsync(holder) == HttpStatusCode.ServiceUnavailable);
        Assert.That(await mira.IsReadyAsync(), Is.False);
        _airtable.Faults.Clear();
        await mira.WaitUntilReadyAsync();
        Assert.That(await StatusAsync(holder), Is.EqualTo(HttpStatusCode.OK));
    }

    [TestCase("AIRTABLE_TOKEN", "pat00000000000000.of-nobody", "AIRTABLE_TOKEN")]
    [TestCase("AIRTABLE_TOKEN", "", "AIRTABLE_TOKEN")]
    [TestCase("AIRTABLE_BASE_ID", "app00000000000000", "AIRTABLE_TOKEN")]
    [TestCase("AIRTABLE_TABLE", "Another", "AIRTABLE_TABLE")]
    [TestCase("MIRA_PEPPER", "", "MIRA_PEPPER")]
    [TestCase("Mira:Airtable:PollInterval", "soon", "Mira__Airtable__PollInterval")]
    public async Task What_cannot_be_right_stops_the_start_with_one_line(string name, string value, string named)
    {
        await MakeTableAsync();
        var settings = Settings().Where(setting => setting.Name != name).Append((name, value)).ToArray();

        var (exitCode, output, error) = await MiraProcess.RunAsync(_folder, [], settings);

        Assert.That(exitCode, Is.EqualTo(1), output + error);
        Assert.That(error.TrimEnd().Split('\n'), Has.Length.EqualTo(1), error);
        Assert.That(error, Does.StartWith($"mira: {named}: ").And.Not.Contain(_airtable.Token));
    }

    [Test]
    public async Task A_table_that_lacks_a_field_stops_the_start_and_says_which()
    {
        await MakeTableAsync();
        Sheet.RemoveField("mac");

        var (exitCode, _, error) = await MiraProcess.RunAsync(_folder, [], Settings());

        Assert.That((exitCode, error.Trim()), Is.EqualTo((1, "mira: AIRTABLE_TABLE: mac is missing (airtable create-table makes what is missing)")));
    }

    [Test]
    public async Task An_admin_can_be_made_with_the_verb_when_all_are_lost()
    {
        await MakeTableAsync();
        await using (MiraHost.Start(folder: _folder, settings: Settings()))
        {
        }

        var (exitCode, output, error) = await MiraProcess.RunAsync(_folder, ["admin", "create", "--name", "rescue"], Settings());

        Assert.That(exitCode, Is.Zero, error);
        await using var mira = MiraHost.Start(folder: _folder, settings: Settings());
        await ExpectAsync(mira, output.Trim(), 200, null);
        Assert.That(Sheet.Snapshot(), Has.Count.EqualTo(2));
    }

    private (string Name, string Value)[] Settings() =>
    [
        ("MIRA_STORE", "airtable"),
        ("MIRA_PEPPER", _pepper),
        ("AIRTABLE_TOKEN", _airtable.Token),
        ("AIRTABLE_BASE_ID", _airtable.BaseId),
        ("AIRTABLE_URL", _airtable.Url.AbsoluteUri),
        ("Mira:Airtable:PollInterval", "00:00:01"),
    ];

    private async Task MakeTableAsync()
    {
        var started = Stopwatch.StartNew();
        var (exitCode, _, error) = await MiraProcess.RunAsync(_folder, ["airtable", "create-table"], Settings());
        Assert.That(exitCode, Is.Zero, $"{error} after {started.Elapsed}");
    }

    private static async Task ExpectAsync(MiraHost mira, string token, int status, string? code)
    {
        var answer = await CallAsync(mira, token, "/api/auth/validate");
        if (code is not null)
            answer.ShouldBeProblem(status, code);
        else
            Assert.That(answer.Status, Is.EqualTo(status), answer.Body);
    }

    private static async Task<(string Status, JsonElement Details)> HealthAsync(MiraHost mira)
    {
        var health = (await CallAsync(mira, mira.Admin, "/health")).Json;
        return (health.GetProperty("status").GetString()!, health.GetProperty("details"));
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client)
    {
        try
        {
            using var answer = await client.GetAsync("/api/auth/validate");
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return default;
        }
    }

    private static Task<WireAnswer> CallAsync(MiraHost mira, string? token, string path) => WireAnswer.OfAsync(mira.Http(token).GetAsync(path));
}
