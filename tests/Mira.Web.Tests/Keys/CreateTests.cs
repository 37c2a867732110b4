using System.Globalization;
using System.Text.RegularExpressions;
using Mira.Client;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>What a new key gets, and what its maker is told.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed partial class CreateTests : SharedHost
{
    [Test]
    public async Task A_new_key_has_what_was_asked_for()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey
        {
            Name = "ci-pipeline",
            Role = "operator",
            Owner = "team-payments",
            ExpiryDays = 7,
            Permissions = ["documents:read", "billing:*"],
            Metadata = new Dictionary<string, string> { ["environment"] = "production" },
            RateLimitPerMinute = 10_000_000,
            AllowedIps = ["127.0.0.1", "10.0.0.0/8"],
        });

        using var scope = Assert.EnterMultipleScope();
        Assert.That((made.Name, made.Role), Is.EqualTo(("ci-pipeline", "operator")));
        Assert.That(made.CreatedAt, Is.EqualTo(Now));
        Assert.That(made.ExpiresAt, Is.EqualTo(Now.AddDays(7)));
        Assert.That(made.Message, Does.Contain("only once"));

        var view = await Admin.GetKeyAsync(made.KeyId);
        Assert.That(view.Owner, Is.EqualTo("team-payments"));
        Assert.That(view.Permissions, Is.EqualTo(new[] { "billing:*", "documents:read", "keys:read", "keys:verify", "webhooks:execute" }));
        Assert.That(view.Metadata, Is.EqualTo(new Dictionary<string, string> { ["environment"] = "production" }));
        Assert.That(view.RateLimitPerMinute, Is.EqualTo(10_000_000));
        Assert.That(view.AllowedIps, Is.EqualTo(new[] { "127.0.0.1", "10.0.0.0/8" }));
        Assert.That(view.CreatedBy, Is.EqualTo(MiraHost.IdOf(Host.Admin)));
        Assert.That((view.Status, view.Version), Is.EqualTo(("active", 1)));
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("200"));
    }

    [Test]
    public async Task What_is_not_asked_for_has_its_default()
    {
        var made = await CreateAsync();
        var view = await Admin.GetKeyAsync(made.KeyId);

        using var scope = Assert.EnterMultipleScope();
        Assert.That(made.ExpiresAt, Is.EqualTo(Now.AddDays(90)));
        Assert.That(view.Owner, Is.Null);
        Assert.That(view.Permissions, Is.EqualTo(new[] { "keys:read" }));
        Assert.That(view.Metadata, Is.Empty);
        Assert.That(view.RateLimitPerMinute, Is.Null);
        Assert.That(view.AllowedIps, Is.Empty);
        Assert.That(view.LastUsedAt, Is.Null);
        Assert.That((view.RotatedAt, view.RevokedAt, view.RevokedBy, view.RevokedReason), Is.EqualTo(default((DateTimeOffset?, DateTimeOffset?, string?, string?))));
        Assert.That(view.Secrets.Select(secret => (secret.Version, secret.ValidUntil)), Is.EqualTo(new[] { (1, default(DateTimeOffset?)) }));
    }

    [Test]
    public async Task The_answer_has_exactly_the_fields_of_the_contract()
    {
        var answer = await AdminHttp.CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer"}""");

        using var scope = Assert.EnterMultipleScope();
        Assert.That(answer.Verdict, Is.EqualTo("201"));
        Assert.That(
            answer.Json.EnumerateObject().Select(field => field.Name),
            Is.EquivalentTo(new[] { "api_key", "key_id", "name", "role", "expires_at", "created_at", "message" }));
        Assert.That(answer.Header("Location"), Is.EqualTo($"/api/keys/{answer.Field("key_id")}"));
        Assert.That(answer.Header("ETag"), Is.EqualTo("\"1\""));
        Assert.That(answer.Header("Content-Type"), Is.EqualTo("application/json; charset=utf-8"));
        Assert.That(answer.Header("Cache-Control"), Is.EqualTo("no-store"));
        Assert.That(answer.Header("Idempotency-Replayed"), Is.Null);
        Assert.That(answer.Field("created_at"), Does.Match(@"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\z"));

        var seen = await AdminHttp.CallAsync("GET", answer.Header("Location")!);
        Assert.That(seen.Verdict, Is.EqualTo("200"));
        Assert.That(seen.Header("ETag"), Is.EqualTo("\"1\""));
    }

    [Test]
    public async Task A_token_has_an_id_a_secret_and_a_checksum()
    {
        var made = await CreateAsync();
        var parts = TokenForm().Match(made.ApiKey!);

        Assert.That(parts.Success, Is.True);
        Assert.That(parts.Groups["id"].Value, Is.EqualTo(made.KeyId));
        Assert.That(parts.Groups["checksum"].Value, Is.EqualTo(ChecksumOf(made.ApiKey![..65])));
    }

    [Test]
    public async Task A_key_that_never_expires_says_so()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", NeverExpires = true });
        Assert.That(made.ExpiresAt, Is.Null);
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).ExpiresAt, Is.Null);

        var ending = await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", NeverExpires = false, ExpiryDays = 3 });
        Assert.That(ending.ExpiresAt, Is.EqualTo(Now.AddDays(3)));
    }

    [TestCase(1)]
    [TestCase(3650)]
    public async Task The_ends_of_the_range_of_lifetimes_are_taken(int days) =>
        Assert.That((await CreateAsync(days: days)).ExpiresAt, Is.EqualTo(Now.AddDays(days)));

    [Test]
    public async Task A_name_and_an_owner_are_kept_in_NFC()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey { Name = "Cafe\u0301", Role = "viewer", Owner = "Ame\u0301lie" });
        Assert.That(made.Name, Is.EqualTo("Caf\u00e9"));
        Assert.That((await Admin.GetKeyAsync(made.KeyId)).Owner, Is.EqualTo("Am\u00e9lie"));
    }

    [Test]
    public async Task A_name_is_counted_in_Unicode_scalar_values()
    {
        var name = string.Concat(Enumerable.Repeat("🔑", 100));
        Assert.That((await CreateAsync(name: name)).Name, Is.EqualTo(name));
    }

    [Test]
    public async Task Addresses_are_kept_in_their_normal_form()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey
        {
            Name = "a",
            Role = "viewer",
            AllowedIps = ["10.1.2.3/8", "::ffff:192.0.2.1", "192.0.2.7/32", "2001:DB8::1/32", "2001:0db8:0::9", "2001:db8::9/128"],
        });
        Assert.That(
            (await Admin.GetKeyAsync(made.KeyId)).AllowedIps,
            Is.EqualTo(new[] { "10.0.0.0/8", "192.0.2.1", "192.0.2.7", "2001:db8::/32", "2001:db8::9" }));
    }

    [Test]
    public async Task A_key_works_only_from_its_addresses()
    {
        var made = await Admin.CreateKeyAsync(new CreateKey { Name = "a", Role = "viewer", AllowedIps = ["192.0.2.0/24"] });
        Assert.That(await VerdictOnAsync(made.ApiKey), Is.EqualTo("403 ip_not_allowed"));
    }

    [Test]
    public async Task Null_is_the_same_as_absent()
    {
        var answer = await AdminHttp.CallAsync(
            "POST", "/api/keys",
            """{"name":"a","role":"viewer","expiry_days":null,"never_expires":null,"owner":null,"permissions":null,"metadata":null,"rate_limit_per_minute":null,"allowed_ips":null}""");
        Assert.That(answer.Verdict, Is.EqualTo("201"));
        Assert.That((await Admin.GetKeyAsync(answer.Field("key_id")!)).ExpiresAt, Is.EqualTo(Now.AddDays(90)));
    }

    // CRC-32 (IEEE) bit by bit, and base62 by division: nothing of what is tested.
    private static string ChecksumOf(string text)
    {
        var crc = uint.MaxValue;
        foreach (var character in text)
        {
            crc ^= character;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0xEDB88320;
        }

        const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        var rest = ~crc;
        var checksum = "";
        for (var place = 0; place < 6; place++, rest /= 62)
            checksum = string.Create(CultureInfo.InvariantCulture, $"{Digits[(int)(rest % 62)]}{checksum}");
        return checksum;
    }

    [GeneratedRegex(@"\A(?<id>mira_key_[0-9A-Za-z]{12})_(?<secret>[0-9A-Za-z]{43})(?<checksum>[0-9A-Za-z]{6})\z")]
    private static partial Regex TokenForm();
}
