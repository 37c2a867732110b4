using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;

namespace Mira.Domain.Tests.Keys;

public class CreationTests
{
    [Test]
    public void A_new_key_is_active_and_has_one_secret()
    {
        var held = new KeyWithClock(days: 90);

        Assert.That(held.Status, Is.EqualTo(KeyStatus.Active));
        Assert.That(held.Key.Version, Is.EqualTo(1));
        Assert.That(held.Key.Secrets, Has.Count.EqualTo(1));
        Assert.That(held.Key.Current.Version, Is.EqualTo(1));
        Assert.That(held.Key.Current.CreatedAt, Is.EqualTo(KeyWithClock.Start));
        Assert.That(held.Key.Current.ExpiresAt, Is.EqualTo(KeyWithClock.Start.AddDays(90)));
        Assert.That(held.Key.Current.ValidUntil, Is.Null);
        Assert.That(held.Key.LapsesAt, Is.EqualTo(KeyWithClock.Start.AddDays(90)));
        Assert.That(held.Key.RotatingUntil, Is.Null);
    }

    [Test]
    public void A_new_key_has_its_terms()
    {
        var metadata = new Dictionary<string, string> { ["team"] = "payments" };
        var range = Range("203.0.113.0/24");
        var token = Token.Generate(KeyId.Generate());
        var terms = new KeyTerms
        {
            Name = "billing",
            Role = Role.Viewer,
            LifetimeDays = 30,
            Owner = "ada",
            Permissions = ["documents:read"],
            Metadata = metadata,
            RateLimitPerMinute = 7,
            AllowedIps = [range],
        };

        var key = ApiKey.Create(token.KeyId, new PepperRing(HeldKey.PepperOf(1)).Seal(token), terms, "mira_key_000000000001", KeyWithClock.Start);

        Assert.That(key.Id, Is.EqualTo(token.KeyId));
        Assert.That(key.Name, Is.EqualTo("billing"));
        Assert.That(key.Role, Is.EqualTo(Role.Viewer));
        Assert.That(key.Owner, Is.EqualTo("ada"));
        Assert.That(key.FreePermissions, Is.EqualTo(new[] { "documents:read" }));
        Assert.That(key.Metadata, Is.EqualTo(metadata));
        Assert.That(key.RateLimitPerMinute, Is.EqualTo(7));
        Assert.That(key.AllowedIps, Is.EqualTo(new[] { range }));
        Assert.That(key.LifetimeDays, Is.EqualTo(30));
        Assert.That(key.CreatedAt, Is.EqualTo(KeyWithClock.Start));
        Assert.That(key.CreatedBy, Is.EqualTo("mira_key_000000000001"));
        Assert.That(key.IsDisabled, Is.False);
        Assert.That(key.RotatedAt, Is.Null);
        Assert.That(key.RevokedAt, Is.Null);
        Assert.That(key.RevokedBy, Is.Null);
        Assert.That(key.RevokedReason, Is.Null);
        Assert.That(key.LastUsedAt, Is.Null);
    }

    [Test]
    public void What_is_given_twice_is_held_once_and_permissions_are_sorted()
    {
        var held = new KeyWithClock(KeyWithClock.Terms() with
        {
            Permissions = ["tickets:read", "documents:write", "documents:*", "tickets:read"],
            AllowedIps = [Range("203.0.113.7"), Range("203.0.113.0/24"), Range("::ffff:203.0.113.7")],
        });

        Assert.That(held.Key.FreePermissions, Is.EqualTo(new[] { "documents:*", "documents:write", "tickets:read" }));
        Assert.That(held.Key.AllowedIps.Select(range => range.ToString()), Is.EqualTo(new[] { "203.0.113.7", "203.0.113.0/24" }));
    }

    [Test]
    public void Its_event_names_what_the_key_was_given()
    {
        var terms = KeyWithClock.Terms(Role.Admin) with
        {
            Owner = "ada",
            Permissions = ["documents:read"],
            Metadata = new Dictionary<string, string> { ["team"] = "payments" },
            RateLimitPerMinute = 7,
            AllowedIps = [Range("203.0.113.0/24")],
        };

        var happened = new KeyWithClock(terms, reason: "recovery").TakeOnlyEvent();

        Assert.That(happened.Type, Is.EqualTo(EventType.KeyCreated));
        Assert.That(happened.Reason, Is.EqualTo("recovery"));
        Assert.That(Changes.Of(happened), Is.EqualTo(new[]
        {
            "name: null -> \"billing\"",
            "role: null -> \"admin\"",
            "expires_at: null -> \"2026-05-30T12:00:00.000Z\"",
            "owner: null -> \"ada\"",
            """permissions: [] -> ["documents:read"]""",
            """metadata: {} -> {"team":"payments"}""",
            "rate_limit_per_minute: null -> 7",
            """allowed_ips: [] -> ["203.0.113.0/24"]""",
        }));
    }

    [Test]
    public void Its_event_leaves_out_what_the_key_was_not_given()
    {
        var happened = new KeyWithClock(days: null).TakeOnlyEvent();

        Assert.That(happened.Changes.Select(change => change.Field), Is.EqualTo(new[] { "name", "role", "expires_at" }));
        Assert.That(happened.Changes[2].To, Is.Null);
        Assert.That(happened.Reason, Is.Null);
    }

    [Test]
    public void What_happened_is_told_once()
    {
        var held = new KeyWithClock();

        Assert.That(held.Key.TakeEvents(), Has.Count.EqualTo(1));
        Assert.That(held.Key.TakeEvents(), Is.Empty);
    }

    [Test]
    public void No_event_of_a_whole_life_holds_a_token_a_secret_or_a_digest()
    {
        var held = new KeyWithClock();
        held.Rotate();
        held.Rotate(graceMinutes: 0);
        held.Disable();
        held.Enable();
        held.Revoke(reason: "leaked");
        var text = string.Join('\n', held.Key.TakeEvents().Select(happened => happened.Reason + string.Join('\n', Changes.Of(happened))));

        Assert.That(text, Does.Contain("leaked").And.Contain("secret_version"));
        foreach (var token in held.Tokens)
            Assert.That(text, Does.Not.Contain(token.Reveal()).And.Not.Contain(token.Reveal()[(KeyId.Length + 1)..]));
        foreach (var digest in held.Key.Secrets.Select(secret => secret.Digest.ToArray()))
            Assert.That(text, Does.Not.Contain(Convert.ToHexStringLower(digest)).And.Not.Contain(Convert.ToBase64String(digest)));
    }

    private static IpRange Range(string text) => IpRange.TryParse(text, out var range) ? range : throw new FormatException(text);
}

/// <summary>An event's changes as lines to compare.</summary>
internal static class Changes
{
    public static string[] Of(KeyEvent happened) =>
        [.. happened.Changes.Select(change => $"{change.Field}: {CanonicalJson.Write(change.From)} -> {CanonicalJson.Write(change.To)}")];
}
