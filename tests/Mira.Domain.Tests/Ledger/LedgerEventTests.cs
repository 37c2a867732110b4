using System.Text.Json;
using System.Text.Json.Nodes;
using Mira.Domain.Ledger;

namespace Mira.Domain.Tests.Ledger;

public class LedgerEventTests
{
    private static readonly DateTimeOffset Noon = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly LedgerEvent First = LedgerEvent.Append(
        LedgerPosition.Start,
        Noon,
        new PendingEvent(
            EventType.KeyRotated,
            new Actor("mira_key_4fZq0TbLw9Xe", "Zoë \"ops\"", "admin", "203.0.113.7", "curl/8.5"),
            "mira_key_000000000001",
            "req-1")
        {
            Changes =
            [
                FieldChange.Of("secret_version", 1, 2),
                FieldChange.Of("previous_valid_until", null, Noon.AddHours(1)),
            ],
        });

    private static readonly LedgerEvent Second = LedgerEvent.Append(
        First.Position,
        Noon.AddMilliseconds(1500),
        new PendingEvent(EventType.KeyRevoked, Actor.System, "mira_key_000000000001", null) { Reason = "leaked" });

    // Both bodies and hashes were computed with Python's json and hashlib.
    [Test]
    public void The_names_under_which_a_pending_event_is_stored_never_change() => Assert.That(
        JsonSerializer.SerializeToNode(new PendingEvent(EventType.AuthFailed, Actor.System, null, null))!.AsObject().Select(property => property.Key),
        Is.EquivalentTo(new[] { "Type", "Actor", "Subject", "CorrelationId", "Outcome", "Reason", "Changes", "Gathered" }));

    [Test]
    public void The_worked_example_has_this_body_and_this_hash()
    {
        Assert.That(First.Body, Is.EqualTo(
            """{"actor":{"ip":"203.0.113.7","key_id":"mira_key_4fZq0TbLw9Xe","name":"Zoë \"ops\"","role":"admin","user_agent":"curl/8.5"}"""
            + ""","at":"2026-03-01T12:00:00.000Z","changes":{"previous_valid_until":{"from":null,"to":"2026-03-01T13:00:00.000Z"}"""
            + ""","secret_version":{"from":1,"to":2}},"correlation_id":"req-1","count":null,"first_at":null,"last_at":null"""
            + ""","outcome":"success","prev_hash":"0000000000000000000000000000000000000000000000000000000000000000","reason":null"""
            + ""","seq":1,"subject":"mira_key_000000000001","type":"key.rotated","v":1}"""));
        Assert.That(First.Hash, Is.EqualTo("f038a2a1d72bd4f5630c9bcee630f3d7e0347d6a725147a2e3220f6e6794aa40"));
        Assert.That(Second.Hash, Is.EqualTo("cfed25d3c5dd6da37201979f985f71084742e95c07dac019c4070c299d9ffcdf"));
    }

    [Test]
    public void The_fields_beside_the_body_say_what_the_body_says()
    {
        Assert.That(First.Seq, Is.EqualTo(1));
        Assert.That(First.At, Is.EqualTo(Noon));
        Assert.That(First.Type, Is.EqualTo("key.rotated"));
        Assert.That(First.ActorKeyId, Is.EqualTo("mira_key_4fZq0TbLw9Xe"));
        Assert.That(First.Subject, Is.EqualTo("mira_key_000000000001"));
        Assert.That(First.PreviousHash, Is.EqualTo(new string('0', 64)));
        Assert.That(Second.ActorKeyId, Is.Null);
        Assert.That(Second.PreviousHash, Is.EqualTo(First.Hash));
    }

    [Test]
    public void An_event_names_every_field_of_the_contract_but_its_hash()
    {
        Assert.That(JsonNode.Parse(Second.Body)!.AsObject().Select(pair => pair.Key), Is.EquivalentTo(new[]
        {
            "v", "seq", "at", "type", "actor", "subject", "outcome", "reason", "correlation_id", "count", "first_at", "last_at", "changes", "prev_hash",
        }));
    }

    [Test]
    public void A_chain_follows_itself_from_the_start()
    {
        Assert.That(First.Follows(LedgerPosition.Start));
        Assert.That(Second.Follows(First.Position));
    }

    [Test]
    public void An_event_out_of_order_does_not_follow()
    {
        Assert.That(Second.Follows(LedgerPosition.Start), Is.False, "one was removed");
        Assert.That(First.Follows(First.Position), Is.False, "one came twice");
        Assert.That(First.Follows(Second.Position), Is.False, "two changed places");
        Assert.That(Second.Follows(Second.Position with { Seq = 1 }), Is.False, "one was put between");
        Assert.That(Second.Follows(First.Position with { Seq = 0 }), Is.False, "a gap");
    }

    private static IEnumerable<TestCaseData<LedgerEvent>> Edited()
    {
        yield return Case(First with { Seq = 2 }, "seq");
        yield return Case(First with { At = Noon.AddMilliseconds(1) }, "at");
        yield return Case(First with { Type = EventType.KeyUpdated }, "type");
        yield return Case(First with { ActorKeyId = "mira_key_000000000002" }, "actor");
        yield return Case(First with { ActorKeyId = null }, "actor removed");
        yield return Case(First with { Subject = "mira_key_000000000002" }, "subject");
        yield return Case(First with { Subject = null }, "subject removed");
        yield return Case(First with { PreviousHash = First.Hash }, "prev_hash");
        yield return Case(First with { Hash = Second.Hash }, "hash");
        yield return Case(First with { Hash = First.Hash.ToUpperInvariant() }, "hash in upper case");
        yield return Case(First with { Body = First.Body + " " }, "a blank");
        yield return Case(First with { Body = Second.Body }, "another body");

        static TestCaseData<LedgerEvent> Case(LedgerEvent edited, string what) => new(edited) { TestName = $"An edited event does not follow: {what}" };
    }

    [TestCaseSource(nameof(Edited))]
    public void An_edited_event_does_not_follow(LedgerEvent edited) => Assert.That(edited.Follows(LedgerPosition.Start), Is.False);

    [Test]
    public void No_single_character_of_the_body_can_be_changed()
    {
        for (var i = 0; i < First.Body.Length; i++)
        {
            var other = First.Body[i] == '1' ? '2' : '1';
            var edited = First with { Body = First.Body[..i] + other + First.Body[(i + 1)..] };
            Assert.That(edited.Follows(LedgerPosition.Start), Is.False, edited.Body);
        }
    }

    // Whoever hashes again what he edited still has to make the fields beside it agree, and every later event.
    [TestCase("\"seq\":1", "\"seq\":2")]
    [TestCase("12:00:00.000Z\",\"changes", "12:00:00.001Z\",\"changes")]
    [TestCase("key.rotated", "key.updated")]
    [TestCase("\"subject\":\"mira_key_000000000001\"", "\"subject\":null")]
    [TestCase("mira_key_4fZq0TbLw9Xe", "mira_key_000000000002")]
    [TestCase("\"prev_hash\":\"0", "\"prev_hash\":\"1")]
    public void A_body_that_was_hashed_again_must_agree_with_the_fields_beside_it(string from, string to)
    {
        var edited = Rehashed(First.Body.Replace(from, to, StringComparison.Ordinal));

        Assert.That(edited.Hash, Is.Not.EqualTo(First.Hash));
        Assert.That(edited.Follows(LedgerPosition.Start), Is.False);
    }

    [TestCase("")]
    [TestCase("null")]
    [TestCase("[]")]
    [TestCase("{}")]
    [TestCase("{")]
    [TestCase("not json")]
    [TestCase("""{"seq":"1"}""")]
    [TestCase("""{"seq":1,"seq":1}""")]
    [TestCase("""{"seq":1.5}""")]
    [TestCase("""{"seq":1,"at":1}""")]
    [TestCase("""{"actor":"someone"}""")]
    public void A_body_of_another_form_that_was_hashed_again_does_not_follow(string body) =>
        Assert.That(Rehashed(body).Follows(LedgerPosition.Start), Is.False);

    [Test]
    public void An_actor_of_another_form_that_was_hashed_again_does_not_follow()
    {
        var actor = First.Body[First.Body.IndexOf("{\"ip\"", StringComparison.Ordinal)..(First.Body.IndexOf('}', StringComparison.Ordinal) + 1)];

        Assert.That(Rehashed(First.Body.Replace(actor, "\"someone\"", StringComparison.Ordinal)).Follows(LedgerPosition.Start), Is.False);
    }

    [Test]
    public void A_body_that_says_one_thing_twice_does_not_follow()
    {
        var edited = Rehashed(First.Body.Replace("\"reason\":null", "\"reason\":null,\"reason\":\"lost\"", StringComparison.Ordinal));

        Assert.That(edited.Follows(LedgerPosition.Start), Is.False);
    }

    [Test]
    public void A_time_finer_than_the_ledger_writes_still_agrees()
    {
        var appended = LedgerEvent.Append(LedgerPosition.Start, Noon.AddTicks(1), new PendingEvent(EventType.SystemStarted, Actor.System, null, null));

        Assert.That(appended.Follows(LedgerPosition.Start));
        Assert.That(appended.Body, Does.Contain("\"at\":\"2026-03-01T12:00:00.000Z\"").And.Contain("\"changes\":null"));
    }

    [Test]
    public void The_start_is_64_zeros() => Assert.That(LedgerPosition.Start, Is.EqualTo(new LedgerPosition(0, new string('0', 64))));

    [Holds(100)]
    public bool A_change_of_any_reason_breaks_the_chain(string? one, string? other) =>
        one == other || IsIllFormed(one) || IsIllFormed(other) || With(one).Hash != With(other).Hash;

    private static bool IsIllFormed(string? text) => text is not null && text.Any(char.IsSurrogate);

    private static LedgerEvent With(string? reason) =>
        LedgerEvent.Append(First.Position, Noon, new PendingEvent(EventType.KeyRevoked, Actor.System, null, null) { Reason = reason });

    private static LedgerEvent Rehashed(string body) => First with { Body = body, Hash = LedgerEvent.HashOf(body) };
}

public class ActorTests
{
    [Test]
    public void A_key_is_named_by_its_id() =>
        Assert.That(new Actor("mira_key_000000000001", "ops", "admin", null, null).Author, Is.EqualTo("mira_key_000000000001"));

    [Test]
    public void The_system_is_named_system()
    {
        Assert.That(Actor.System.Author, Is.EqualTo("system"));
        Assert.That(new Actor(null, null, null, "203.0.113.7", null).Author, Is.EqualTo("system"));
    }
}

public class EventTypeTests
{
    [Test]
    public void They_have_the_names_of_the_contract() => Assert.That(EventType.All, Is.EqualTo(new[]
    {
        "key.created", "key.updated", "key.rotated", "key.revoked", "key.disabled", "key.enabled", "system.started", "system.stopped",
        "auth.failed", "access.denied", "limit.exceeded", "audit.read", "integrity.violation", "audit.exported", "audit.pruned",
        "webhook.accepted", "webhook.delivered", "webhook.failed",
    }));
}
