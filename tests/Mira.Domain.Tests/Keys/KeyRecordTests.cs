using System.Text.Json;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

public class KeyRecordTests
{
    [Holds(200, Arbitrary = [typeof(KeyLives)])]
    public void Whatever_was_done_to_a_key_it_comes_back_from_its_record_as_it_was(KeyLife life)
    {
        var held = new KeyWithClock(life.Role, life.Days);
        foreach (var step in life.Steps)
        {
            Take(step, held);
            var back = ComeBack(held.Key);
            Demand(Json(back) == Json(held.Key), "another record");
            Demand(back.StatusAt(held.Now) == held.Status, "another status");
            foreach (var token in held.Tokens)
            {
                var (verdict, expected) = (back.Verify(token, held.Peppers, null, held.Now), held.Verify(token));
                Demand(verdict.Code == expected.Code && verdict.Secret?.Version == expected.Secret?.Version, "another verdict");
            }
        }
    }

    [Test]
    public void The_stored_names_never_change()
    {
        var held = new KeyWithClock();
        var json = JsonNode.Parse(JsonSerializer.Serialize(KeyRecord.Of(held.Key)))!.AsObject();

        Assert.That(json.Select(property => property.Key), Is.EquivalentTo(new[]
        {
            "Id", "Name", "Role", "Owner", "FreePermissions", "Metadata", "RateLimitPerMinute", "AllowedIps", "LifetimeDays", "IsDisabled", "IsWithheld",
            "CreatedAt", "CreatedBy", "RotatedAt", "RevokedAt", "RevokedBy", "RevokedReason", "Version", "Secrets",
        }));
        Assert.That(json["Secrets"]![0]!.AsObject().Select(property => property.Key), Is.EquivalentTo(new[]
        {
            "Version", "PepperId", "Digest", "CreatedAt", "ExpiresAt", "ValidUntil", "LastUsedAt",
        }));
    }

    [Test]
    public void Every_field_comes_back()
    {
        IpRange[] ranges = [.. new[] { "10.0.0.0/8", "2001:db8::/32", "192.0.2.7" }.Select(text => IpRange.TryParse(text, out var range) ? range : throw new FormatException())];
        var held = new KeyWithClock(new KeyTerms
        {
            Name = "Gebühren \u2603",
            Role = Role.Admin,
            LifetimeDays = null,
            Owner = "team-a",
            Permissions = ["documents:read", "documents:*"],
            Metadata = new Dictionary<string, string> { ["env"] = "\"prod\"", ["b"] = "" },
            RateLimitPerMinute = 7,
            AllowedIps = ranges,
        });
        held.Rotate(30, 10);
        held.PassMinutes(5);
        held.Disable();
        held.Revoke(reason: "leaked");

        var back = ComeBack(held.Key);

        Assert.That(Json(back), Is.EqualTo(Json(held.Key)));
        Assert.That(back.AllowedIps, Is.EqualTo(held.Key.AllowedIps));
        Assert.That(back.Metadata, Is.EqualTo(held.Key.Metadata));
        Assert.That(back.Permissions, Is.EqualTo(held.Key.Permissions));
        Assert.That(back.TakeEvents(), Is.Empty, "nothing happened to it");
    }

    [Test]
    public void The_record_holds_every_property_that_a_key_and_a_secret_keep()
    {
        Assert.That(Names(typeof(KeyRecord)), Is.EquivalentTo(Names(typeof(ApiKey)).Except(["Current", "LastUsedAt", "LapsesAt", "RotatingUntil", "Permissions", "IsDoubted"])));
        Assert.That(Names(typeof(SecretRecord)), Is.EquivalentTo(Names(typeof(Secret)).Except(["IsSuperseded", "Deadline"])));
    }

    [Test]
    public void A_key_is_the_same_only_while_nothing_but_its_use_differs()
    {
        var held = new KeyWithClock(new KeyTerms { Name = "billing", Role = Role.Operator, LifetimeDays = 9, RateLimitPerMinute = 7 });
        held.Rotate(30, 10);
        held.Revoke(reason: "leaked");
        var record = JsonNode.Parse(Json(held.Key))!.AsObject();
        var (id, now) = (KeyId.Generate().Value, JsonValue.Create(KeyWithClock.Start.AddYears(1)));

        // What another value of each may be; every property must be told of here.
        var others = new (string, JsonNode?)[]
        {
            ("Id", id), ("Name", "other"), ("Role", "admin"), ("Owner", "team"), ("FreePermissions", new JsonArray("a:b")), ("Metadata", new JsonObject { ["a"] = "b" }),
            ("RateLimitPerMinute", 8), ("AllowedIps", new JsonArray("10.0.0.0/8")), ("LifetimeDays", 11), ("IsDisabled", true), ("IsQuarantined", true),
            ("CreatedAt", now), ("CreatedBy", id), ("RotatedAt", now), ("RevokedAt", now), ("RevokedBy", id), ("RevokedReason", "lost"),
            ("Version", 9), ("Secrets", new JsonArray(record["Secrets"]![0]!.DeepClone())),
        }.ToDictionary();
        var otherSecrets = new (string, JsonNode?)[]
        {
            ("Version", 7), ("PepperId", "00000000"), ("Digest", Convert.ToBase64String(new byte[32])), ("CreatedAt", now), ("ExpiresAt", now), ("ValidUntil", now), ("LastUsedAt", now),
        }.ToDictionary();

        Assert.That(held.Key.IsSameAs(ComeBack(held.Key)), Is.True);
        Assert.That(others.Keys, Is.EquivalentTo(Names(typeof(KeyRecord))));
        Assert.That(otherSecrets.Keys, Is.EquivalentTo(Names(typeof(SecretRecord))));
        Assert.That(others.Where(other => held.Key.IsSameAs(With(record, other))).Select(other => other.Key), Is.EqualTo(new[] { "IsQuarantined" }));
        Assert.That(
            otherSecrets.Where(other => held.Key.IsSameAs(With(record, new("Secrets", new JsonArray(Changed(record["Secrets"]![0]!, other), record["Secrets"]![1]!.DeepClone()))))).Select(other => other.Key),
            Is.EqualTo(new[] { "PepperId", "LastUsedAt" }), "under another pepper a digest is another one");
    }

    [TestCase("\"Id\":\"", "\"Id\":\"x")]
    [TestCase("\"Role\":\"operator\"", "\"Role\":\"root\"")]
    [TestCase("\"AllowedIps\":[]", "\"AllowedIps\":[\"here\"]")]
    [TestCase("\"Digest\":\"", "\"Digest\":\"AAAA")]
    public void The_record_of_no_key_is_refused(string text, string instead)
    {
        var damaged = Json(new KeyWithClock().Key).Replace(text, instead, StringComparison.Ordinal);

        Assert.That(() => JsonSerializer.Deserialize<KeyRecord>(damaged)!.ToKey(), Throws.TypeOf<FormatException>());
    }

    private static ApiKey ComeBack(ApiKey key) => JsonSerializer.Deserialize<KeyRecord>(Json(key))!.ToKey();

    private static ApiKey With(JsonObject record, KeyValuePair<string, JsonNode?> other) => Changed(record, other).Deserialize<KeyRecord>()!.ToKey();

    private static JsonNode Changed(JsonNode record, KeyValuePair<string, JsonNode?> other)
    {
        var changed = record.DeepClone();
        changed[other.Key] = other.Value?.DeepClone();
        return changed;
    }

    private static string Json(ApiKey key) => JsonSerializer.Serialize(KeyRecord.Of(key));

    private static IEnumerable<string> Names(Type type) => type.GetProperties().Select(property => property.Name);

    private static void Take(Step step, KeyWithClock held)
    {
        try
        {
            switch (step)
            {
                case Rotate rotate:
                    held.Rotate(rotate.GraceMinutes, rotate.Days);
                    break;
                case Revoke revoke:
                    held.Revoke(otherActiveAdmins: revoke.OtherAdmins);
                    break;
                case Switch turn:
                    held.Update(new KeyUpdate { Disabled = turn.Off }, turn.OtherAdmins);
                    break;
                case Pass pass:
                    held.Pass(pass.Time);
                    break;
            }
        }
        catch (Exception exception) when (exception is KeyNotActiveException or TooManyLiveSecretsException or LastAdminException)
        {
            // Refused, as it may be.
        }
    }

    private static void Demand(bool holds, string otherwise)
    {
        if (!holds)
            throw new InvalidOperationException(otherwise);
    }
}
