using System.Text.Json;
using Mira.Web.Tests.Hosts;

namespace Mira.Web.Tests.Keys;

/// <summary>What is refused of a new key, with which code, and which field is blamed.</summary>
[Parallelizable(ParallelScope.Fixtures)]
internal sealed class CreateRuleTests : SharedHost
{
    private static readonly string Long = new('x', 101);

    public static IEnumerable<TestCaseData> Invalid =>
    [
        .. Of("name", Text(""), Text("   "), Text("\u00a0"), Text(Long), Text("a\u0007b"), Text("a\nb"), Text("a\u2028b"), Text("a\u2029b"), Text("a\u202eb"), Text("a\u200fb"), Text("a\u2066b"), Text("a\u0085b"), "null"),
        .. Of("role", Text("Admin"), Text("root"), Text(""), Text("viewer "), "null"),
        .. Of("expiry_days", "-1", "0", "3651", "2147483648", "-99999999999999999999", "1" + new string('0', 400)),
        .. Of("owner", Text(""), Text("  "), Text(Long), Text("a\u202eb"), Text("a\tb")),
        .. Of("permissions",
            List("keys:read"), List("keys:*"), List("webhooks:execute"), List("audit:read"), List("stats:read"), List("documents"), List("Documents:read"), List("documents:"),
            List(":read"), List("*:read"), List("documents:read "), List("documents:re*"), List("documents:read:all"), List($"{new string('d', 64)}:read"), List($"d:{new string('r', 64)}"),
            List(""), "[null]", List([.. Enumerable.Range(0, 101).Select(number => $"documents:read{number}")])),
        .. Of("metadata",
            Pairs(21), Pair(new string('k', 65), "v"), Pair("", "v"), Pair("k", new string('v', 513)), Pair("k", "a\u0000b"), Pair("k", "a\nb"), Pair("a\u0001b", "v"), """{"k":null}"""),
        .. Of("rate_limit_per_minute", "0", "-1", "10000001", "99999999999999999999"),
        .. Of("allowed_ips",
            List("10.0.0.0/33"), List("::/129"), List("10.0.0"), List("300.1.1.1"), List("localhost"), List(""), List(" 10.0.0.1"), List("10.0.0.1/"), List("10.0.0.1/-1"), List("0x7f.1"),
            List("010.0.0.1"), List("fe80::1%eth0"), "[null]", List([.. Enumerable.Range(0, 51).Select(number => $"10.0.0.{number}")])),
    ];

    public static IEnumerable<TestCaseData> WrongType =>
    [
        .. Of("name", "5", "true", "[]", "{}"),
        .. Of("role", "1"),
        .. Of("expiry_days", Text("90"), "1.5", "1e2", "true", "[]"),
        .. Of("never_expires", Text("true"), "1"),
        .. Of("owner", "5"),
        .. Of("permissions", Text("documents:read"), "[1]", "{}"),
        .. Of("metadata", "[]", """{"k":1}""", """{"k":{}}""", Text("k")),
        .. Of("rate_limit_per_minute", Text("5"), "5.0"),
        .. Of("allowed_ips", Text("10.0.0.1"), "[1]"),
    ];

    [TestCaseSource(nameof(Invalid))]
    public async Task A_value_outside_the_rules_is_refused(string field, string value)
    {
        var answer = await CreateWithAsync(field, value);
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
    }

    [TestCaseSource(nameof(WrongType))]
    public async Task A_value_of_another_type_is_no_JSON_of_this_call(string field, string value)
    {
        var answer = await CreateWithAsync(field, value);
        Assert.That(answer.Verdict, Is.EqualTo("400 malformed_json"));
        Assert.That(answer.Blamed.Single(), Does.StartWith(field));
    }

    [TestCase("""{"role":"viewer"}""", "name")]
    [TestCase("""{"name":"a"}""", "role")]
    public async Task What_is_needed_must_be_there(string body, string field)
    {
        var answer = await AdminHttp.CallAsync("POST", "/api/keys", body);
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { field }));
    }

    [Test]
    public async Task Every_wrong_field_is_named_at_once()
    {
        var answer = await AdminHttp.CallAsync("POST", "/api/keys", """{"name":"","role":"root","expiry_days":0}""");
        Assert.That(answer.Blamed, Is.EquivalentTo(new[] { "name", "role", "expiry_days" }));
    }

    [Test]
    public async Task Never_expiring_excludes_a_lifetime()
    {
        var answer = await AdminHttp.CallAsync("POST", "/api/keys", """{"name":"a","role":"viewer","never_expires":true,"expiry_days":1}""");
        Assert.That(answer.Verdict, Is.EqualTo("400 validation_failed"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { "never_expires" }));
    }

    [TestCase("permissions", 100)]
    [TestCase("metadata", 20)]
    [TestCase("allowed_ips", 50)]
    public async Task As_many_as_allowed_are_taken(string field, int count)
    {
        var value = field switch
        {
            "permissions" => List([.. Enumerable.Range(0, count).Select(number => $"{new string('d', 63)}:read{number}")]),
            "metadata" => Pairs(count),
            _ => List([.. Enumerable.Range(0, count).Select(number => $"10.0.0.{number}")]),
        };
        Assert.That((await CreateWithAsync(field, value)).Verdict, Is.EqualTo("201"));
    }

    [Test]
    public async Task The_longest_metadata_is_taken()
    {
        var answer = await CreateWithAsync("metadata", Pair(new string('k', 64), string.Concat(Enumerable.Repeat("🔑", 512))));
        Assert.That(answer.Verdict, Is.EqualTo("201"));
    }

    [TestCase("Name")]
    [TestCase("expiryDays")]
    [TestCase("api_key")]
    [TestCase("key_id")]
    [TestCase("repeat")]
    [TestCase("version")]
    public async Task A_property_it_does_not_know_is_refused(string property)
    {
        var answer = await CreateWithAsync(property, Text("x"));
        Assert.That(answer.Verdict, Is.EqualTo("400 unknown_property"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { property }));
    }

    [TestCase("""{"name":"a","role":"viewer","name":"b"}""", "name")]
    [TestCase("""{"name":"a","role":"viewer","n\u0061me":"b"}""", "name")]
    [TestCase("""{"name":"a","role":"viewer","metadata":{"k":"1","k":"2"}}""", "k")]
    public async Task A_property_twice_is_refused(string body, string property)
    {
        var answer = await AdminHttp.CallAsync("POST", "/api/keys", body);
        Assert.That(answer.Verdict, Is.EqualTo("400 duplicate_property"));
        Assert.That(answer.Blamed, Is.EqualTo(new[] { property }));
    }

    [TestCase("")]
    [TestCase(" ")]
    [TestCase("null")]
    [TestCase("{")]
    [TestCase("[]")]
    [TestCase("5")]
    [TestCase("\"name\"")]
    [TestCase("""{"name":"a","role":"viewer",}""")]
    [TestCase("""{"name":"a","role":"viewer"} x""")]
    [TestCase("""{"name":"a",/* */"role":"viewer"}""")]
    [TestCase("""{'name':'a','role':'viewer'}""")]
    [TestCase("""{"name":"\ud800","role":"viewer"}""")]
    [TestCase("""{"name":"a","role":"viewer","metadata":{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}""")]
    public async Task A_body_that_is_no_object_of_JSON_is_refused(string body) =>
        Assert.That((await AdminHttp.CallAsync("POST", "/api/keys", body)).Verdict, Is.EqualTo("400 malformed_json"));

    [Test]
    public async Task A_refused_creation_makes_no_key()
    {
        var name = Unique();
        await AdminHttp.CallAsync("POST", "/api/keys", $$"""{"name":"{{name}}","role":"viewer","expiry_days":-1}""");
        Assert.That((await Admin.ListKeysAsync(q: name)).Keys, Is.Empty);
    }

    private Task<Reply> CreateWithAsync(string field, string value)
    {
        var body = new Dictionary<string, string> { ["name"] = Text("a"), ["role"] = Text("viewer"), [field] = value };
        return AdminHttp.CallAsync("POST", "/api/keys", $"{{{string.Join(",", body.Select(pair => $"\"{pair.Key}\":{pair.Value}"))}}}");
    }

    private static IEnumerable<TestCaseData> Of(string field, params string[] values) => values.Select((value, index) =>
        new TestCaseData(field, value).SetArgDisplayNames(field, value.Length > 40 ? $"long {index}" : $"{index} {value}"));

    private static string Text(string text) => JsonSerializer.Serialize(text);

    private static string List(params string[] items) => JsonSerializer.Serialize(items);

    private static string Pair(string key, string value) => JsonSerializer.Serialize(new Dictionary<string, string> { [key] = value });

    private static string Pairs(int count) => JsonSerializer.Serialize(Enumerable.Range(0, count).ToDictionary(number => $"k{number}", number => "v"));
}
