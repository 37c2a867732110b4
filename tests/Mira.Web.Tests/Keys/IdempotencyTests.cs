using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>A call that is sent again, because nobody knows whether it arrived.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class IdempotencyTests : SharedHost
{
    private const string Body = """{"name":"a","role":"viewer"}""";
    private const string Replayed = "Idempotency-Replayed";

    [Test]
    public async Task A_repeated_creation_gives_the_first_answer_without_its_token()
    {
        var repeat = Unique();
        var first = await CreateAsync(repeat, Body);
        Host.Clock!.Advance(TimeSpan.FromMinutes(1));
        var second = await CreateAsync(repeat, Body);

        using var scope = Assert.EnterMultipleScope();
        Assert.That(first.Verdict, Is.EqualTo("201"));
        Assert.That(first.Header(Replayed), Is.Null);
        ExpectReplay(first, second);
        Assert.That(await EventsOfAsync(first.Field("key_id")!), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_repeated_rotation_gives_the_first_answer_without_its_token()
    {
        var id = (await CreateAsync()).KeyId;
        var repeat = Unique();
        var first = await RotateAsync(id, repeat, """{"grace_minutes":5}""");
        await Admin.UpdateKeyAsync(id, new UpdateKey { Name = "b" });
        var second = await RotateAsync(id, repeat, """{"grace_minutes":5}""");

        Assert.That((first.Verdict, first.Header("ETag")), Is.EqualTo(("201", "\"2\"")));
        ExpectReplay(first, second);
        Assert.That((await Admin.GetKeyAsync(id)).Version, Is.EqualTo(3));
        Assert.That((await Admin.GetKeyAsync(id)).Secrets, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_rotation_without_a_body_is_repeated_too()
    {
        var id = (await CreateAsync()).KeyId;
        var repeat = Unique();
        ExpectReplay(await RotateAsync(id, repeat), await RotateAsync(id, repeat));
    }

    [Test]
    public async Task It_works_whatever_happened_to_the_key_since()
    {
        var (creation, rotation) = (Unique(), Unique());
        var created = await CreateAsync(creation, Body);
        var id = created.Field("key_id")!;
        var rotated = await RotateAsync(id, rotation);
        await Admin.RevokeKeyAsync(id);

        ExpectReplay(created, await CreateAsync(creation, Body));
        ExpectReplay(rotated, await RotateAsync(id, rotation));
        Assert.That((await RotateAsync(id, Unique())).Verdict, Is.EqualTo("409 key_not_active"));
    }

    [Test]
    public async Task It_is_looked_at_before_the_condition()
    {
        var id = (await CreateAsync()).KeyId;
        var repeat = Unique();
        var first = await RotateAsync(id, repeat, null, ("If-Match", "\"1\""));
        ExpectReplay(first, await RotateAsync(id, repeat, null, ("If-Match", "\"1\"")));
        Assert.That((await RotateAsync(id, Unique(), null, ("If-Match", "\"1\""))).Verdict, Is.EqualTo("412 version_mismatch"));
    }

    [TestCase("""{"name":"b","role":"viewer"}""")]
    [TestCase("""{"name":"a", "role":"viewer"}""")]
    [TestCase("""{"role":"viewer","name":"a"}""")]
    public async Task Another_body_is_another_request(string body)
    {
        var repeat = Unique();
        await CreateAsync(repeat, Body);
        Assert.That((await CreateAsync(repeat, body)).Verdict, Is.EqualTo("422 idempotency_mismatch"));
        Assert.That((await CreateAsync(repeat, Body)).Header(Replayed), Is.EqualTo("true"));
    }

    [Test]
    public async Task Another_path_is_another_request()
    {
        var repeat = Unique();
        var (one, two) = ((await CreateAsync()).KeyId, (await CreateAsync()).KeyId);
        await RotateAsync(one, repeat);
        Assert.That((await RotateAsync(two, repeat)).Verdict, Is.EqualTo("422 idempotency_mismatch"));
        Assert.That((await CreateAsync(repeat, Body)).Verdict, Is.EqualTo("422 idempotency_mismatch"));
        Assert.That((await RotateAsync(one, repeat, "{}")).Verdict, Is.EqualTo("422 idempotency_mismatch"));
        Assert.That((await Admin.GetKeyAsync(two)).Version, Is.EqualTo(1));
    }

    [Test]
    public async Task Two_callers_keys_never_meet()
    {
        var repeat = Unique();
        var other = Host.Http((await CreateAsync("admin")).ApiKey);
        var first = await CreateAsync(repeat, Body);
        var second = await other.CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", repeat));
        Assert.That((second.Verdict, second.Header(Replayed)), Is.EqualTo(("201", default(string))));
        Assert.That(second.Field("key_id"), Is.Not.EqualTo(first.Field("key_id")));
    }

    [Test]
    public async Task It_belongs_to_the_callers_key_and_not_to_its_secret()
    {
        var repeat = Unique();
        var caller = await CreateAsync("admin");
        var first = await Host.Http(caller.ApiKey).CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", repeat));
        var rotated = await Admin.RotateKeyAsync(caller.KeyId);
        ExpectReplay(first, await Host.Http(rotated.ApiKey).CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", repeat)));
    }

    [Test]
    public async Task It_is_kept_for_24_hours()
    {
        var repeat = Unique();
        var first = await CreateAsync(repeat, Body);
        Host.Clock!.Advance(TimeSpan.FromHours(24) - TimeSpan.FromMilliseconds(1));
        ExpectReplay(first, await CreateAsync(repeat, Body));

        Host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        var later = await CreateAsync(repeat, Body);
        Assert.That((later.Verdict, later.Header(Replayed)), Is.EqualTo(("201", default(string))));
        Assert.That(later.Field("key_id"), Is.Not.EqualTo(first.Field("key_id")));
        ExpectReplay(later, await CreateAsync(repeat, Body));
    }

    [Test]
    public async Task It_is_kept_over_a_restart()
    {
        using var folder = new TestFolder();
        Reply created, rotated;
        string id;
        await using (var before = MiraHost.Start(holdClock: true, folder))
        {
            var http = before.Http(before.Admin);
            created = await http.CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", "create"));
            id = created.Field("key_id")!;
            rotated = await http.CallAsync("POST", $"/api/keys/{id}/rotate", headers: ("Idempotency-Key", "rotate"));
        }

        await using var after = MiraHost.Start(holdClock: true, folder);
        var again = after.Http(after.Admin);
        ExpectReplay(created, await again.CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", "create")));
        ExpectReplay(rotated, await again.CallAsync("POST", $"/api/keys/{id}/rotate", headers: ("Idempotency-Key", "rotate")));
    }

    [TestCase("a")]
    [TestCase("A-Z_a.z-0.9")]
    public async Task A_key_of_the_allowed_characters_is_taken(string repeat) =>
        Assert.That((await CreateAsync(repeat, Body)).Verdict, Is.EqualTo("201"));

    [Test]
    public async Task The_longest_key_is_taken_and_a_longer_one_is_not()
    {
        Assert.That((await CreateAsync(new string('k', 128), Body)).Verdict, Is.EqualTo("201"));
        Assert.That((await CreateAsync(new string('k', 129), Body)).Verdict, Is.EqualTo("400 invalid_idempotency_key"));
    }

    [TestCase("")]
    [TestCase("a b")]
    [TestCase("a/b")]
    [TestCase("a,b")]
    [TestCase("a:b")]
    [TestCase("\"a\"")]
    [TestCase("{a}")]
    public async Task A_key_of_other_characters_is_refused(string repeat)
    {
        var id = (await CreateAsync()).KeyId;
        Assert.That((await CreateAsync(repeat, Body)).Verdict, Is.EqualTo("400 invalid_idempotency_key"));
        Assert.That((await RotateAsync(id, repeat)).Verdict, Is.EqualTo("400 invalid_idempotency_key"));
        Assert.That((await Admin.GetKeyAsync(id)).Version, Is.EqualTo(1));
    }

    [Test]
    public async Task Two_keys_are_one_too_many()
    {
        var id = (await CreateAsync()).KeyId;
        var answer = await Host.Address.SendLinesAsync(
            "POST", $"/api/keys/{id}/rotate", $"Authorization: Bearer {Host.Admin}", "Content-Length: 0", "Idempotency-Key: a", "Idempotency-Key: a");
        Assert.That(answer, Does.StartWith("HTTP/1.1 400").And.Contains("\"invalid_idempotency_key\""));
    }

    [Test]
    public async Task Validation_and_authorization_come_first()
    {
        var repeat = Unique();
        var first = await CreateAsync(repeat, Body);
        Assert.That((await CreateAsync(repeat, """{"name":"","role":"viewer"}""")).Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That((await CreateAsync(repeat, "{")).Verdict, Is.EqualTo("400 malformed_json"));
        var viewer = Host.Http(await Host.NewKeyAsync("viewer"));
        Assert.That((await viewer.CallAsync("POST", "/api/keys", Body, headers: ("Idempotency-Key", repeat))).Verdict, Is.EqualTo("403 insufficient_permission"));
        ExpectReplay(first, await CreateAsync(repeat, Body));
    }

    [Test]
    public async Task Failures_are_not_remembered()
    {
        var repeat = Unique();
        Assert.That((await CreateAsync(repeat, """{"name":"","role":"viewer"}""")).Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That((await CreateAsync(repeat, Body)).Verdict, Is.EqualTo("201"));

        var id = (await CreateAsync()).KeyId;
        var (second, third) = (Unique(), Unique());
        await Admin.UpdateKeyAsync(id, new UpdateKey { Disabled = true });
        Assert.That((await RotateAsync(id, second)).Verdict, Is.EqualTo("409 key_not_active"));
        await Admin.UpdateKeyAsync(id, new UpdateKey { Disabled = false });
        Assert.That((await RotateAsync(id, second)).Verdict, Is.EqualTo("201"));
        Assert.That((await RotateAsync(id, third, null, ("If-Match", "\"1\""))).Verdict, Is.EqualTo("412 version_mismatch"));
        Assert.That((await RotateAsync(id, third, null, ("If-Match", "\"4\""))).Verdict, Is.EqualTo("201"));
    }

    private static void ExpectReplay(Reply first, Reply second)
    {
        Assert.That(second.Verdict, Is.EqualTo("201"));
        Assert.That(second.Header(Replayed), Is.EqualTo("true"));
        Assert.That(second.Text, Is.EqualTo(first.Text.Replace($"\"{first.Field("api_key")}\"", "null", StringComparison.Ordinal)));
        Assert.That((second.Header("Location"), second.Header("ETag")), Is.EqualTo((first.Header("Location"), first.Header("ETag"))));
        Assert.That(first.Header("Location"), Is.Not.Null);
    }

    private Task<Reply> CreateAsync(string repeat, string body) => AdminHttp.CallAsync("POST", "/api/keys", body, headers: ("Idempotency-Key", repeat));

    private Task<Reply> RotateAsync(string id, string repeat, string? body = null, params (string, string)[] headers) =>
        AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate", body, headers: [("Idempotency-Key", repeat), .. headers]);
}
