using System.Text.Json;
using System.Text.Json.Nodes;
using Mira.Domain.Keys;
using Mira.Domain.Ledger;
using Mira.Domain.Tokens;
using Mira.Infrastructure.Airtable;
using Mira.Infrastructure.Tests.Sql;

namespace Mira.Infrastructure.Tests.Airtable;

public sealed class RecordMapperTests
{
    private const string RecordId = "recAAAAAAAAAAAAAA";

    private static readonly RecordMapper Form = new(HeldKey.Peppers);

    [Test]
    public void A_key_comes_back_from_its_record_as_it_was([Range(0, 199)] int seed)
    {
        var key = new RandomLives(seed).Make(1)[0];

        var back = RecordMapper.Read(RecordOf(key)).ToKey();

        Assert.That(Json(back), Is.EqualTo(Json(key)));
    }

    [Test]
    public void Every_field_comes_back()
    {
        var key = FullKey();
        key.Rotate(HeldKey.SealFor(key.Id), new Rotation(TimeSpan.FromMinutes(5), 10), HeldKey.Start.AddMinutes(1));
        key.Update(new KeyUpdate { Disabled = true }, 1, HeldKey.Start.AddMinutes(2));
        key.Revoke("mira_key_000000000001", "„leak“ \u2603", 1, HeldKey.Start.AddMinutes(3));

        Assert.That(Json(RecordMapper.Read(RecordOf(key)).ToKey()), Is.EqualTo(Json(key)));
    }

    [Test]
    public void The_last_use_is_that_of_the_current_secret()
    {
        var key = FullKey();
        var record = RecordOf(key);
        record.Fields[TableSchema.LastUsed] = "2026-03-02T00:00:00.000Z";

        Assert.That(RecordMapper.Read(record).ToKey().Current.LastUsedAt, Is.EqualTo(HeldKey.Start.AddHours(12)));
        Assert.That(Form.IsOurs(record), "a person may write there what he likes");
    }

    [Test]
    public void People_read_what_it_is()
    {
        var fields = RecordMapper.FieldsOf(FullKey());

        Assert.That((string?)fields["role"], Is.EqualTo("admin"));
        Assert.That((string?)fields["status"], Is.EqualTo("active"));
        Assert.That((string?)fields["permissions"], Is.EqualTo("documents:*\ninvoices:read"));
        Assert.That((string?)fields["allowed_ips"], Is.EqualTo("10.0.0.0/8\n2001:db8::/32"));
        Assert.That((string?)fields["metadata"], Is.EqualTo("""{"a":"2","env":"prod"}"""));
        Assert.That((string?)fields["created_at"], Is.EqualTo("2026-03-01T12:00:00.000Z"));
        Assert.That((int?)fields["rate_limit"], Is.EqualTo(5));
        Assert.That(fields["owner"]?.GetValue<string>(), Is.EqualTo("team"));
    }

    [Test]
    public void Nothing_that_opens_a_key_is_in_it()
    {
        var held = new HeldKey();

        Assert.That(RecordMapper.FieldsOf(held.Key).ToJsonString(), Does.Not.Contain(held.Token.Reveal()[22..]));
    }

    [Test]
    public void What_Airtable_gives_back_otherwise_is_still_ours()
    {
        var record = RecordOf(FullKey());
        record.Fields[TableSchema.CreatedAt] = "2026-03-01T12:00:00Z";
        record.Fields[TableSchema.Version] = 1.0;
        foreach (var empty in record.Fields.Where(pair => pair.Value is null).Select(pair => pair.Key).ToList())
            record.Fields.Remove(empty);

        Assert.That(Form.IsOurs(record));
    }

    [Test]
    public void A_change_of_any_field_is_seen([ValueSource(nameof(CoveredFields))] string field)
    {
        var record = RecordOf(FullKey());
        record.Fields[field] = field is "rate_limit" or "version" ? 77 : field.EndsWith("_at", StringComparison.Ordinal) ? "2027-01-01T00:00:00.000Z" : "else";

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [Test]
    public void Taking_a_field_away_is_seen([ValueSource(nameof(FilledFields))] string field)
    {
        var record = RecordOf(FullKey());
        record.Fields.Remove(field);

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [Test]
    public void A_copy_under_another_record_id_is_not_ours()
    {
        var record = RecordOf(FullKey());

        Assert.That(Form.IsOurs(record with { Id = "recBBBBBBBBBBBBBB" }), Is.False);
    }

    [Test]
    public void Another_fence_than_the_signed_one_is_not_ours()
    {
        var record = RecordOf(FullKey());
        record.Fields[TableSchema.Mac] = ((string)record.Fields[TableSchema.Mac]!).Replace(".7.", ".8.", StringComparison.Ordinal);

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("x")]
    [TestCase("00000000.1.00")]
    [TestCase("00000000.1.0000000000000000000000000000000000000000000000000000000000000000")]
    public void A_record_without_a_right_MAC_is_not_ours(string? mac)
    {
        var record = RecordOf(FullKey());
        record.Fields[TableSchema.Mac] = mac;

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [Test]
    public void A_MAC_of_the_right_pepper_that_is_no_MAC_is_refused_without_an_error()
    {
        var record = RecordOf(FullKey());
        record.Fields[TableSchema.Mac] = $"{HeldKey.Peppers.Current.Id}.7.{new string('z', 64)}";

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [Test]
    public void Fields_of_a_strange_kind_are_not_ours_without_an_error()
    {
        var record = RecordOf(FullKey());
        record.Fields[TableSchema.RateLimit] = 1.5;
        record.Fields[TableSchema.Name] = new JsonArray("a", new JsonObject());
        record.Fields[TableSchema.Owner] = "\ud800";

        Assert.That(Form.IsOurs(record), Is.False);
    }

    [Test]
    public void Under_a_retired_pepper_a_record_is_still_ours()
    {
        var (older, newer) = (HeldKey.PepperOf(1), HeldKey.PepperOf(2));
        var record = RecordOf(FullKey());

        Assert.That(new RecordMapper(new PepperRing(newer, older)).IsOurs(record));
        Assert.That(new RecordMapper(new PepperRing(newer)).IsOurs(record), Is.False);
    }

    [Test]
    public void Differences_name_fields_and_never_digests()
    {
        var key = FullKey();
        var found = RecordMapper.FieldsOf(key);
        found[TableSchema.Role] = "viewer";
        found[TableSchema.KeyHash] = "mine";
        found[TableSchema.Owner] = null;
        found[TableSchema.Name] = new string('x', 5_000);

        var differences = RecordMapper.Differences(RecordMapper.FieldsOf(key), found);

        Assert.That(differences.Select(change => $"{change.Field}: {change.From} → {change.To}"), Is.EquivalentTo(new[]
        {
            "key_hash:  → ", "role: admin → viewer", "name: Café → (5000 characters)", "owner: team → ",
        }));
    }

    [TestCase("key_hash", "{}")]
    [TestCase("key_hash", "not json")]
    [TestCase("role", "root")]
    [TestCase("created_at", "yesterday")]
    [TestCase("key_id", "mira_key_1")]
    public void A_record_that_holds_no_key_is_refused(string field, string value)
    {
        var record = RecordOf(FullKey());
        record.Fields[field] = value;

        Assert.That(() => RecordMapper.Read(record).ToKey(), Throws.TypeOf<FormatException>());
    }

    private static IEnumerable<string> CoveredFields() => RecordMapper.FieldsOf(FullKey()).Select(pair => pair.Key);

    private static IEnumerable<string> FilledFields() => RecordMapper.FieldsOf(FullKey()).Where(pair => pair.Value is not null).Select(pair => pair.Key);

    private static AirtableRecord RecordOf(ApiKey key)
    {
        var fields = RecordMapper.FieldsOf(key);
        fields[TableSchema.Mac] = Form.Sign(fields, RecordId, 7);
        return new AirtableRecord(RecordId, fields);
    }

    private static ApiKey FullKey() => new HeldKey(new KeyTerms
    {
        Name = "Café",
        Role = Role.Admin,
        LifetimeDays = 30,
        Owner = "team",
        Permissions = ["invoices:read", "documents:*"],
        Metadata = new Dictionary<string, string> { ["env"] = "prod", ["a"] = "2" },
        RateLimitPerMinute = 5,
        AllowedIps = [.. new[] { "10.0.0.0/8", "2001:db8::/32" }.Select(text => IpRange.TryParse(text, out var range) ? range : throw new FormatException())],
    }).Key;

    // The order of metadata is no part of it.
    private static string Json(ApiKey key)
    {
        var json = JsonSerializer.SerializeToNode(KeyRecord.Of(key))!;
        return CanonicalJson.Write(json);
    }
}
