using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Audit;

/// <summary>Every change leaves exactly one event, which says who, what, from where, and what it was before.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class AuditTests : SharedHost
{
    [Test]
    public async Task Every_change_of_a_key_has_its_event()
    {
        var id = (await CreateAsync()).KeyId;
        await Admin.UpdateKeyAsync(id, new UpdateKey { Name = "b" });
        await Admin.UpdateKeyAsync(id, new UpdateKey { Disabled = true });
        await Admin.UpdateKeyAsync(id, new UpdateKey { Disabled = false });
        await Admin.RotateKeyAsync(id);
        await Admin.RevokeKeyAsync(id, "leaked");

        var events = await EventsOfAsync(id);
        Assert.That(
            events.Select(entry => entry.Type),
            Is.EqualTo(new[] { "key.revoked", "key.rotated", "key.enabled", "key.disabled", "key.updated", "key.created" }));
        Assert.That(events.Select(entry => entry.Subject), Is.All.EqualTo(id));
        Assert.That(events.Select(entry => (entry.V, entry.Outcome, entry.Count)), Is.All.EqualTo((1, "success", default(long?))));
        Assert.That(events[0].Reason, Is.EqualTo("leaked"));
        Assert.That(events.Select(entry => entry.At), Is.All.EqualTo(Now));
    }

    [Test]
    public async Task Terms_and_switching_off_are_two_events_of_one_version()
    {
        var id = (await CreateAsync()).KeyId;
        var after = await Admin.UpdateKeyAsync(id, new UpdateKey { Name = "b", Disabled = true });
        Assert.That(after.Version, Is.EqualTo(2));
        Assert.That((await EventsOfAsync(id)).Select(entry => entry.Type), Is.EqualTo(new[] { "key.disabled", "key.updated", "key.created" }));
    }

    [Test]
    public async Task An_event_has_exactly_the_fields_of_the_contract()
    {
        await CreateAsync();
        var page = (await AdminHttp.CallAsync("GET", "/api/audit?limit=1")).Json;
        Assert.That(page.EnumerateObject().Select(field => field.Name), Is.EquivalentTo(new[] { "events", "next_cursor" }));
        var entry = page.GetProperty("events")[0];
        Assert.That(
            entry.EnumerateObject().Select(field => field.Name),
            Is.EquivalentTo(new[]
            {
                "v", "seq", "at", "type", "actor", "subject", "outcome", "reason", "correlation_id", "count", "first_at", "last_at", "changes", "prev_hash", "hash",
            }));
        Assert.That(
            entry.GetProperty("actor").EnumerateObject().Select(field => field.Name),
            Is.EquivalentTo(new[] { "key_id", "name", "role", "ip", "user_agent" }));
    }

    [Test]
    public async Task An_event_names_its_actor_and_the_request()
    {
        var actor = await CreateAsync("admin", name: "the actor");
        var answer = await Host.Http(actor.ApiKey).CallAsync(
            "POST", "/api/keys", """{"name":"a","role":"viewer"}""", headers: [("User-Agent", "test/1.0"), ("X-Correlation-ID", "order-66")]);
        await Admin.UpdateKeyAsync(actor.KeyId, new UpdateKey { Name = "renamed since" });

        var entry = (await EventsOfAsync(answer.Field("key_id")!)).Single();
        Assert.That(answer.Header("X-Correlation-ID"), Is.EqualTo("order-66"));
        Assert.That(entry.CorrelationId, Is.EqualTo("order-66"));
        Assert.That(
            (entry.Actor.KeyId, entry.Actor.Name, entry.Actor.Role, entry.Actor.Ip, entry.Actor.UserAgent),
            Is.EqualTo((actor.KeyId, "the actor", "admin", "127.0.0.1", "test/1.0")));
    }

    [Test]
    public async Task A_correlation_id_that_is_none_is_replaced_and_a_long_agent_is_cut()
    {
        var answer = await AdminHttp.CallAsync(
            "POST", "/api/keys", """{"name":"a","role":"viewer"}""", headers: [("User-Agent", new string('x', 300)), ("X-Correlation-ID", "a b")]);
        var entry = (await EventsOfAsync(answer.Field("key_id")!)).Single();
        Assert.That(entry.CorrelationId, Is.EqualTo(answer.Header("X-Correlation-ID")).And.Match(@"\A[A-Za-z0-9._-]{1,64}\z"));
        Assert.That(entry.Actor.UserAgent, Is.EqualTo(new string('x', 256)));
    }

    [Test]
    public async Task Changes_say_what_was_and_what_is()
    {
        var id = (await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", Metadata = new Dictionary<string, string> { ["k"] = "1" } })).KeyId;
        await Admin.UpdateKeyAsync(id, new UpdateKey
        {
            Name = "b",
            Owner = "team",
            Metadata = new Dictionary<string, string> { ["k"] = "2" },
            RateLimitPerMinute = 9,
            Permissions = ["x:y"],
            Role = "viewer",
        });

        Assert.That(Shown((await EventsOfAsync(id))[0]), Is.EqualTo(
            """metadata: {"k":"1"} → {"k":"2"}; name: a → b; owner: null → team; permissions: [] → ["x:y"]; rate_limit_per_minute: null → 9"""));
    }

    [Test]
    public async Task A_rotation_says_which_secret_came_and_until_when_the_old_one_works()
    {
        var id = (await CreateAsync(days: 1)).KeyId;
        var expires = Now.AddDays(1);
        var rotated = await Admin.RotateKeyAsync(id, body: new RotateKey { GraceMinutes = 1, ExpiryDays = 2 });
        Assert.That(
            Shown((await EventsOfAsync(id))[0]),
            Is.EqualTo($"expires_at: {Time(expires)} → {Time(Now.AddDays(2))}; previous_valid_until: null → {Time(rotated.PreviousValidUntil)}; secret_version: 1 → 2"));

        static string Time(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", null);
    }

    [Test]
    public async Task What_is_refused_or_repeated_or_changes_nothing_has_no_event()
    {
        var id = (await CreateAsync()).KeyId;
        var before = await NewestAsync();
        await AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", "{}");
        await AdminHttp.CallAsync("PATCH", $"/api/keys/{id}", """{"name":""}""");
        await AdminHttp.CallAsync("POST", $"/api/keys/{id}/rotate", headers: ("If-Match", "\"9\""));
        await AdminHttp.CallAsync("DELETE", "/api/keys/mira_key_000000000000");
        await AdminHttp.CallAsync("GET", $"/api/keys/{id}");
        await AdminHttp.CallAsync("POST", "/api/keys/verify", """{"api_key":"x"}""");
        Assert.That(await NewestAsync(), Is.EqualTo(before));
    }

    [Test]
    public async Task Filters_find_what_they_name()
    {
        var actor = await CreateAsync("admin");
        var client = Host.Client(actor.ApiKey);
        var made = await client.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer" });
        await client.RevokeKeyAsync(made.KeyId);
        await Admin.RevokeKeyAsync(actor.KeyId);

        Assert.That(await TypesAsync(actor: actor.KeyId), Is.EqualTo(new[] { "key.revoked", "key.created" }));
        Assert.That(await TypesAsync(actor: actor.KeyId, type: "key.created"), Is.EqualTo(new[] { "key.created" }));
        Assert.That(await TypesAsync(keyId: actor.KeyId), Is.EqualTo(new[] { "key.revoked", "key.created" }));
        Assert.That(await TypesAsync(keyId: made.KeyId, actor: MiraHost.IdOf(Host.Admin)), Is.Empty);
        Assert.That((await Admin.ListAuditEventsAsync(type: "key.revoked")).Events.Select(entry => entry.Type), Is.Not.Empty.And.All.EqualTo("key.revoked"));

        async Task<IEnumerable<string>> TypesAsync(string? type = null, string? keyId = null, string? actor = null) =>
            (await Admin.ListAuditEventsAsync(type, keyId, actor)).Events.Select(entry => entry.Type);
    }

    [Test]
    public async Task From_is_inclusive_and_to_is_exclusive()
    {
        Host.Clock!.Advance(TimeSpan.FromSeconds(1));
        var first = (await CreateAsync()).KeyId;
        var at = Now;
        Host.Clock.Advance(TimeSpan.FromMilliseconds(1));
        var second = (await CreateAsync()).KeyId;

        Assert.That(await SubjectsAsync(at, null), Is.EqualTo(new[] { second, first }));
        Assert.That(await SubjectsAsync(at.AddMilliseconds(1), null), Is.EqualTo(new[] { second }));
        Assert.That(await SubjectsAsync(at, at.AddMilliseconds(1)), Is.EqualTo(new[] { first }));
        Assert.That(await SubjectsAsync(at, at), Is.Empty);
        var elsewhere = await AdminHttp.CallAsync("GET", $"/api/audit?from={Uri.EscapeDataString(at.ToOffset(TimeSpan.FromHours(2)).ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", null))}");
        Assert.That(elsewhere.Json.GetProperty("events").GetArrayLength(), Is.EqualTo(2));

        async Task<IEnumerable<string?>> SubjectsAsync(DateTimeOffset? from, DateTimeOffset? to) =>
            (await Admin.ListAuditEventsAsync(from: from?.ToString("O"), to: to?.ToString("O"))).Events.Select(entry => entry.Subject);
    }

    [Test]
    public async Task Pages_stay_together_while_events_come()
    {
        var id = (await CreateAsync()).KeyId;
        for (var i = 0; i < 4; i++)
            await Admin.UpdateKeyAsync(id, new UpdateKey { Name = $"n{i}" });

        var whole = (await EventsOfAsync(id)).Select(entry => entry.Seq).ToList();
        var seen = new List<long>();
        string? cursor = null;
        do
        {
            var page = await Admin.ListAuditEventsAsync(keyId: id, limit: 2, cursor: cursor);
            seen.AddRange(page.Events.Select(entry => entry.Seq));
            cursor = page.NextCursor;
            await Admin.UpdateKeyAsync(id, new UpdateKey { Name = $"more {seen.Count}" });
        }
        while (cursor is not null);

        Assert.That(seen, Is.EqualTo(whole).And.Ordered.Descending);
    }

    [TestCase("type=key.gone", "type")]
    [TestCase("type=KEY.CREATED", "type")]
    [TestCase("key_id=x", "key_id")]
    [TestCase("actor=system", "actor")]
    [TestCase("from=yesterday", "from")]
    [TestCase("from=2030-01-01", "from")]
    [TestCase("from=2030-01-01T12:00:00", "from")]
    [TestCase("to=2030-13-01T12:00:00Z", "to")]
    [TestCase("to=1893499200", "to")]
    [TestCase("limit=0", "limit")]
    [TestCase("limit=201", "limit")]
    [TestCase("cursor=x", "cursor")]
    [TestCase("cursor=azoxMA", "cursor")]
    [TestCase("type=key.created&type=key.created", "type")]
    public async Task A_parameter_that_cannot_be_right_is_refused(string query, string field)
    {
        var answer = await AdminHttp.CallAsync("GET", $"/api/audit?{query}");
        Assert.That(answer.Verdict, Is.EqualTo("400 invalid_parameter"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
    }

    private async Task<long> NewestAsync() => (await Admin.ListAuditEventsAsync(limit: 1)).Events.Single().Seq;

    private static string Shown(AuditEventView entry) => string.Join(
        "; ", entry.Changes!.OrderBy(change => change.Key, StringComparer.Ordinal).Select(change => $"{change.Key}: {change.Value.From ?? "null"} → {change.Value.To ?? "null"}"));
}
